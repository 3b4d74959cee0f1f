/**
 * A program that lets every packet pass, for the far end of a veth: only an interface with an XDP program of its own takes the
 * frames that XDP sends. It is attached by netlink and not by a link: it must outlive this process where nothing can be pinned,
 * since a BPF file system that is mounted inside `ip netns exec` vanishes with the command.
 */
import { AnyhopError } from '../core/errors.js';
import { attachedXdp, BpfObject } from '../ffi/bpf.js';
import { bpfObjectPath } from '../ffi/library.js';
import { attachByNetlink } from '../ffi/netlink.js';
import { type Link, readLinks } from '../underlay/link.js';
import { driverRefusal } from './attachment.js';
import { detachByName } from './leftover.js';

export const PASS_PROGRAM = 'anyhop_pass';

/** @throws AnyhopError ERR_INTERFACE when there is none of this name */
export async function requireLink(name: string): Promise<Link> {
  const links = await readLinks();
  const link = links.get(name);
  if (link !== undefined) return link;
  throw new AnyhopError('ERR_INTERFACE', `there is no interface ${name}`, {
    hint: `There are: ${[...links.keys()].sort().join(', ')}. In another network namespace: ip netns exec NAME anyhop pass ...`,
  });
}

/**
 * Attaches it, in the driver: before the stack it would do nothing for a veth.
 * @returns false when it was there already
 * @throws AnyhopError ERR_INTERFACE when another program is there, or the driver refuses; ERR_BPF when the kernel does
 */
export function attachPass(link: Link): boolean {
  const attached = attachedXdp(link.index);
  if (attached?.name === PASS_PROGRAM && attached.mode === 'native') return false;
  if (attached !== undefined) {
    throw new AnyhopError(
      'ERR_INTERFACE',
      `${link.name} has an XDP program already: ${attached.name ?? 'name unknown'} (id ${attached.id}, ${attached.mode})`,
      {
        hint:
          attached.mode === 'generic'
            ? `It runs before the stack, which does not help here. If nobody needs it: ip link set dev ${link.name} xdpgeneric off`
            : 'It runs in the driver. If it passes packets, frames from XDP arrive, and there is nothing to do.',
      },
    );
  }
  const object = new BpfObject(bpfObjectPath('pass'));
  try {
    const problem = object.withProgram(PASS_PROGRAM, (program) =>
      attachByNetlink(program, link.index, 'native'),
    );
    if (problem !== undefined) throw driverRefusal(link, problem);
  } finally {
    object.close();
  }
  return true;
}

/** Takes it off. @returns false when it is not there; another's program stays */
export function detachPass(link: Link): boolean {
  return detachByName(link.index, link.name, PASS_PROGRAM) !== undefined;
}
