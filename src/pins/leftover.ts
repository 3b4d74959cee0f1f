/** Programs that were left on an interface by netlink, without a link that is pinned: the kernel knows them by their names. */
import { AnyhopError } from '../core/errors.js';
import { attachedXdp, type XdpMode } from '../ffi/bpf.js';
import { detachByNetlink, programById } from '../ffi/netlink.js';

/**
 * Takes off an interface a program that a command left there by netlink.
 * @param program its name in the kernel, which says whose it is
 * @returns what was taken off; undefined when no such program is there
 * @throws AnyhopError ERR_BPF when it cannot be known, or taken off
 */
export function detachByName(
  interfaceIndex: number,
  name: string,
  program: string,
): { readonly mode: XdpMode; readonly programId: number } | undefined {
  const attached = attachedXdp(interfaceIndex);
  if (attached === undefined || attached.mode === 'offloaded') return undefined;
  const { mode, id } = attached;
  if (attached.name === undefined) {
    throw new AnyhopError(
      'ERR_BPF',
      `${name} has an XDP program (id ${id}), and whose it is cannot be told`,
      {
        hint: 'Run this as root: CAP_SYS_ADMIN is needed to see, and to take off, what has no pin.',
      },
    );
  }
  if (attached.name !== program) return undefined;
  const descriptor = programById(id);
  try {
    const problem = detachByNetlink(descriptor, interfaceIndex, mode);
    if (problem === undefined) return { mode, programId: id };
    throw new AnyhopError('ERR_BPF', `program ${id} cannot be taken off ${name}: ${problem}`, {
      hint: 'If it hangs on a link that is pinned in another BPF file system, name that one: --bpffs DIRECTORY',
    });
  } finally {
    descriptor.close();
  }
}
