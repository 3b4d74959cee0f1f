/** What is attached to an interface: ours, left there by a process before this one, somebody else's, or nothing. */
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { AnyhopError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { type AttachedXdp, attachedXdp, type XdpMode } from '../../ffi/bpf.js';
import type { Descriptor } from '../../ffi/descriptor.js';
import { XdpLink } from '../../ffi/link.js';
import type { Link } from '../../underlay/link.js';
import { entries, FORWARD_PROGRAM, listSets, PinnedSet, programOf, removeSet } from './pinned-set.js';

export interface Attachment {
  readonly link: XdpLink;
  readonly mode: XdpMode;
  readonly programId: number;
}

const linkPath = (directory: string): string => join(directory, 'link');

/** The attachment whose link is pinned in this directory, if it is alive on this interface. Close its link. */
export function findAttachment(directory: string, interfaceIndex: number): Attachment | undefined {
  if (!entries(directory).includes('link')) return undefined;
  const link = XdpLink.pinned(linkPath(directory));
  const info = link.info();
  const attached = attachedXdp(interfaceIndex);
  if (
    info.interfaceIndex === interfaceIndex &&
    attached?.id === info.programId &&
    attached.mode !== 'offloaded'
  ) {
    return { link, mode: attached.mode, programId: info.programId };
  }
  link.descriptor.close();
  return undefined;
}

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

/** A program on an interface. */
export interface Attached {
  readonly link: XdpLink;
  readonly mode: XdpMode;
  /** Why it is not native. */
  readonly refusal: AnyhopError | undefined;
}

/**
 * Attaches a program to an interface that has none, in the driver where that can, before the stack otherwise; until the
 * link is closed.
 * @throws AnyhopError ERR_INTERFACE with the driver's and the kernel's words
 */
export function attachProgram(
  program: Descriptor,
  interfaceLink: Pick<Link, 'name' | 'index' | 'mtu'>,
): Attached {
  const native = XdpLink.create(program, interfaceLink.index, 'native');
  if (typeof native !== 'string') return { link: native, mode: 'native', refusal: undefined };
  const refusal = driverRefusal(interfaceLink, native);
  const link = XdpLink.create(program, interfaceLink.index, 'generic');
  if (typeof link !== 'string') return { link, mode: 'generic', refusal };
  throw new AnyhopError('ERR_INTERFACE', `${interfaceLink.name} takes no XDP program: ${firstLine(link)}`, {
    ...(refusal.hint !== undefined && { hint: refusal.hint }),
  });
}

/** The same, and pins it: it outlives the process. */
export function attach(
  program: Descriptor,
  interfaceLink: Link,
  directory: string,
): Attachment & Pick<Attached, 'refusal'> {
  const attached = attachProgram(program, interfaceLink);
  try {
    attached.link.descriptor.pin(linkPath(directory));
  } catch (error) {
    attached.link.descriptor.close(); // takes the program off
    throw error;
  }
  return { ...attached, programId: program.programId() };
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

/** What the driver said, and what helps. @param words of the library (native/lib/link.c) */
export function driverRefusal({ name, mtu }: Pick<Link, 'name' | 'mtu'>, words: string): AnyhopError {
  const driver = /Kernel error message: (.*)/.exec(words)?.[1];
  const reason = driver ?? firstLine(words);
  return new AnyhopError('ERR_INTERFACE', `the driver of ${name} refuses XDP: ${reason}`, {
    hint: /\bLRO|GRO_HW|hw-gro/i.test(reason)
      ? `Switch merging in the card off: ethtool -K ${name} lro off rx-gro-hw off`
      : /\bMTU|too large|page|frags/i.test(reason)
        ? `Its MTU is ${mtu}; one packet has to fit a page: ip link set dev ${name} mtu 3498 (for veth: the peer's too)`
        : /not supported/i.test(reason)
          ? 'The driver has no XDP of its own; generic XDP costs more a packet.'
          : `See dmesg, and: ethtool -i ${name}`,
  });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0];
}
