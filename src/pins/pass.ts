/**
 * A program that passes every packet, for the far end of a veth: a veth delivers frames that XDP sends only if that end has an
 * XDP program too. It is attached by netlink, since a pinned link may not be possible: a BPF file system mounted inside `ip netns
 * exec` vanishes with the command.
 */
import { AnyhopError } from '../core/errors.js';
import { attachedXdp, BpfObject } from '../ffi/bpf.js';
import { bpfObjectPath } from '../ffi/library.js';
import { attachByNetlink } from '../ffi/netlink.js';
import { type Link, readLinks } from '../underlay/link.js';
import { driverRefusal } from './attachment.js';
import { detachByName } from './leftover.js';

export const PASS_PROGRAM = 'anyhop_pass';

/** @throws AnyhopError ERR_INTERFACE when there is no such interface */
export async function requireLink(name: string): Promise<Link> {
  const links = await readLinks();
  const link = links.get(name);
  if (link !== undefined) return link;
  throw new AnyhopError('ERR_INTERFACE', `there is no interface ${name}`, {
    hint: `There are: ${[...links.keys()].sort().join(', ')}. In another network namespace: ip netns exec NAME anyhop pass ...`,
  });
}

/**
 * Attaches it in the driver, since before the stack it does not help a veth.
 * @returns false when it was already there
 * @throws AnyhopError ERR_INTERFACE when another program is there, or the driver refuses; ERR_BPF when the kernel refuses
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

/** Removes it, but not another's program. @returns false when it is not there */
export function detachPass(link: Link): boolean {
  return detachByName(link.index, link.name, PASS_PROGRAM) !== undefined;
}
