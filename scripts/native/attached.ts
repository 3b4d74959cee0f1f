/** Work in other network namespaces from within one process, and programs on their interfaces (native/dev/attach.c). */
import { type DevObject, devLibrary } from './object.js';

/**
 * Does something with this thread inside a namespace (`ip netns`), then comes back. No process may be started meanwhile:
 * it would start there.
 */
export async function inside<T>(namespace: string, work: () => T | Promise<T>): Promise<T> {
  const origin = devLibrary.call('ERR_BPF', 'anyhop_dev_namespace');
  devLibrary.call('ERR_BPF', 'anyhop_dev_enter', `/run/netns/${namespace}`);
  try {
    return await work();
  } finally {
    devLibrary.call('ERR_BPF', 'anyhop_dev_return', origin);
  }
}

/** A program on an interface of this thread's namespace, in the driver where that can; it goes with the process. */
export class Attached {
  readonly #link: number;

  constructor(interfaceName: string, object: DevObject, program: string) {
    this.#link = devLibrary.call('ERR_BPF', 'anyhop_dev_attach', interfaceName, object.number, program);
  }

  /** Puts another program in its place, in one step. */
  replace(object: DevObject, program: string): void {
    devLibrary.call('ERR_BPF', 'anyhop_dev_replace', this.#link, object.number, program);
  }

  detach(): void {
    devLibrary.attempt('anyhop_dev_detach', this.#link);
  }
}

/** Takes the program off an interface of this thread's namespace by force, whoever holds its link (`bpftool link detach`). */
export function takeOff(interfaceName: string): void {
  devLibrary.call('ERR_BPF', 'anyhop_dev_take_off', interfaceName);
}
