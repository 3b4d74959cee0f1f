/**
 * The point in time from which no BPF program still reads what it could read before (native/lib/barrier.c). It is
 * some 8 ms away, and a thread of the library waits for it: asking costs a call.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { anyhopLibrary } from './library.js';

const POLL_MS = 1;

export class Barrier {
  readonly #ticket: number;

  /** Of everything that was in force up to now. @throws AnyhopError ERR_BPF when the kernel has no global membarrier */
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
