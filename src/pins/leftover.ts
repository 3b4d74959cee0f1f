/** Removes what ended processes left on an interface, for `anyhop stop` and `anyhop agent --stop`. */
import { AnyhopError } from '../core/errors.js';
import { attachedXdp, type XdpMode } from '../ffi/bpf.js';
import { detachByNetlink, programById } from '../ffi/netlink.js';
import { type Link, readLinks } from '../underlay/link.js';
import { lockLeftovers } from '../underlay/lock.js';
import { isBpffs, type PinOwner, type Place } from './directory.js';
import { whatIsMeant } from './find.js';

/**
 * Removes what was left at a place, under the lock of a node or agent.
 * @param command this command, for messages
 * @param remove gets the directory of the pins, unless there is no BPF file system, and the interface, unless it is gone; returns
 * undefined when there was nothing
 * @throws AnyhopError ERR_INTERFACE when a process runs on the interface, or neither interface nor pins exist; ERR_BPF without
 * permission
 */
export async function removeLeft<T>(
  { interface: name, bpffs }: Place,
  owner: PinOwner,
  command: string,
  remove: (directory: string | undefined, link: Link | undefined) => T | undefined,
): Promise<T | undefined> {
  const { directory, link } = whatIsMeant(bpffs, name, await readLinks(), owner);
  const lock = await lockLeftovers(owner === 'anyhop' ? 'run' : 'agent', link?.name ?? name).catch(
    (cause: AnyhopError) => {
      if (cause.cause !== undefined) throw cause;
      throw new AnyhopError('ERR_INTERFACE', cause.message, {
        hint: `End it first: SIGINT (Ctrl-C) also takes its program off ${name}, SIGTERM leaves that to "${command}".`,
        cause,
      });
    },
  );
  try {
    const removed = remove(isBpffs(bpffs, owner) ? directory : undefined, link);
    if (removed === undefined && link === undefined) {
      throw new AnyhopError('ERR_INTERFACE', `there is no interface ${name}, and nothing is left of one`, {
        hint: 'See which there are: ip -br link',
      });
    }
    return removed;
  } finally {
    await lock.release();
  }
}

/**
 * Removes a program that a command attached by netlink, without a pinned link: the kernel knows it by name.
 * @param program its name in the kernel, which identifies its owner
 * @returns what was removed; undefined when there is no such program
 * @throws AnyhopError ERR_BPF when the program cannot be examined or removed
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
    throw new AnyhopError('ERR_BPF', `${name} has an XDP program (id ${id}) whose owner is unknown`, {
      hint: 'Run this as root: CAP_SYS_ADMIN is needed to examine and remove a program without a pin.',
    });
  }
  if (attached.name !== program) return undefined;
  const descriptor = programById(id);
  try {
    const problem = detachByNetlink(descriptor, interfaceIndex, mode);
    if (problem === undefined) return { mode, programId: id };
    throw new AnyhopError('ERR_BPF', `program ${id} cannot be removed from ${name}: ${problem}`, {
      hint: 'If its link is pinned in another BPF file system, name that one: --bpffs DIRECTORY',
    });
  } finally {
    descriptor.close();
  }
}
