/** What is attached to an interface: ours, left there by a process before this one, somebody else's, or nothing. */
import { unlinkSync } from 'node:fs';
import { AnyhopError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { type AttachedXdp, attachedXdp } from '../../ffi/bpf.js';
import { type Attachment, linkPath } from '../../pins/attachment.js';
import { entries } from '../../pins/directory.js';
import type { Link } from '../../underlay/link.js';
import { FORWARD_PROGRAM, listSets, PinnedSet, programOf, removeSet } from './pinned-set.js';

/**
 * The set that is in force behind an attachment.
 * @returns undefined when there is none that this version can read
 */
export function findSet(directory: string, { programId }: Attachment, log: Logger): PinnedSet | undefined {
  const number = listSets(directory).find((each) => programOf(directory, each) === programId);
  if (number === undefined) return undefined;
  try {
    return PinnedSet.open(directory, number);
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    log.warn({ event: 'pins_unreadable', directory }, `what is in force cannot be read: ${error.message}`);
    return undefined;
  }
}

/** Removes pins of which nothing is attached any more. @returns whether there were some */
export function removeStale(directory: string): boolean {
  const sets = listSets(directory);
  for (const number of sets) removeSet(directory, number);
  const hadLink = entries(directory).includes('link');
  if (hadLink) unlinkSync(linkPath(directory));
  return hadLink || sets.length > 0;
}

/** Takes the program off the interface, and removes all pins of it. */
export function detach(attachment: Attachment, directory: string): void {
  attachment.link.detach();
  attachment.link.descriptor.close();
  removeStale(directory);
}

/** @throws AnyhopError ERR_INTERFACE when somebody else's program is on the interface */
export function requireNoOther({ name, index }: Link): void {
  const attached = attachedXdp(index);
  if (attached === undefined) return;
  const whose = `${attached.name ?? 'name unknown'} (id ${attached.id}, ${attached.mode})`;
  throw new AnyhopError('ERR_INTERFACE', `${name} has an XDP program already: ${whose}`, {
    hint: whatToDo(name, attached),
  });
}

function whatToDo(name: string, { name: program, mode, id }: AttachedXdp): string {
  if (program === FORWARD_PROGRAM) {
    return `It is anyhop's own, pinned in another BPF file system: anyhop stop --interface ${name} --bpffs DIRECTORY`;
  }
  const off = `ip link set dev ${name} ${mode === 'generic' ? 'xdpgeneric' : 'xdp'} off`;
  return (
    `If nobody needs it: ${off}; if that is refused, it hangs on a link, whose holder "bpftool link show" and ` +
    `"bpftool prog show id ${id}" tell.`
  );
}
