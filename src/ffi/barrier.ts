/** Waits, some 8 ms, until no BPF program still reads replaced data (native/lib/barrier.c). A thread of the library does the waiting. */
import { setTimeout as delay } from 'node:timers/promises';
import { anyhopLibrary } from './library.js';

const POLL_MS = 1;

export class Barrier {
  readonly #ticket: number;

  /** For all that was in force until now. @throws AnyhopError ERR_BPF when the kernel has no global membarrier */
  constructor() {
    this.#ticket = anyhopLibrary.call('ERR_BPF', 'anyhop_barrier_ask');
  }

  get isOver(): boolean {
    return anyhopLibrary.attempt('anyhop_barrier_passed') >= this.#ticket;
  }

  async over(): Promise<void> {
    while (!this.isOver) await delay(POLL_MS);
  }
}
