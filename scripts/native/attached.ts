/** Work in other network namespaces from within one process, and programs on their interfaces (native/dev/attach.c). */
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { XdpLink } from '#anyhop/ffi/link.js';
import { devLibrary } from './object.js';

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

/** Puts a program on an interface of this thread's namespace, in the driver; it goes with the process at the latest. */
export function attach(interfaceName: string, object: BpfObject, program: string): XdpLink {
  const index = devLibrary.call('ERR_BPF', 'anyhop_dev_interface', interfaceName);
  const link = object.withProgram(program, (descriptor) => XdpLink.create(descriptor, index, 'native'));
  if (typeof link === 'string') throw new Error(`${program} on ${interfaceName}: ${link}`);
  return link;
}

/** Takes the program off an interface of this thread's namespace by force, whoever holds its link (`bpftool link detach`). */
export function takeOff(interfaceName: string): void {
  devLibrary.call('ERR_BPF', 'anyhop_dev_take_off', interfaceName);
}
