/** An XDP program on an interface by netlink (native/lib/netlink.c): the interface's own, whatever becomes of this process. */
import { MODE_NUMBER, type XdpMode } from './bpf.js';
import { Descriptor } from './descriptor.js';
import { anyhopLibrary } from './library.js';

/**
 * Attaches a program to an interface (by its index), in place of another one when given, in one step.
 * @returns undefined, or why the kernel or the driver refused
 */
export function attachByNetlink(
  program: Descriptor,
  interfaceIndex: number,
  mode: XdpMode,
  replaced?: Descriptor,
): string | undefined {
  const former = replaced?.fd ?? -1;
  const result = anyhopLibrary.attempt(
    'anyhop_xdp_attach',
    program.fd,
    interfaceIndex,
    MODE_NUMBER[mode],
    former,
  );
  return result < 0 ? anyhopLibrary.error() : undefined;
}

/** Takes the program off. Returns undefined, or why not: another program has taken its place, say. */
export function detachByNetlink(
  program: Descriptor,
  interfaceIndex: number,
  mode: XdpMode,
): string | undefined {
  const result = anyhopLibrary.attempt('anyhop_xdp_detach', program.fd, interfaceIndex, MODE_NUMBER[mode]);
  return result < 0 ? anyhopLibrary.error() : undefined;
}

/** A program by the kernel's number of it. @throws AnyhopError ERR_BPF: it is gone, or CAP_SYS_ADMIN is missing */
export function programById(id: number): Descriptor {
  return new Descriptor(anyhopLibrary.call('ERR_BPF', 'anyhop_program_by_id', id));
}
