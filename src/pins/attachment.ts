/** Programs on interfaces by BPF links, pinned or not: attached, or found where a former process left them. */
import { join } from 'node:path';
import { AnyhopError } from '../core/errors.js';
import { attachedXdp, type XdpMode } from '../ffi/bpf.js';
import type { Descriptor } from '../ffi/descriptor.js';
import { XdpLink } from '../ffi/link.js';
import type { Link } from '../underlay/link.js';
import { entries } from './directory.js';

export interface Attachment {
  readonly link: XdpLink;
  readonly mode: XdpMode;
  readonly programId: number;
}

export const linkPath = (directory: string): string => join(directory, 'link');

/** The attachment whose link is pinned in this directory, if it is alive on this interface. The caller closes its link. */
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

export interface Attached {
  readonly link: XdpLink;
  readonly mode: XdpMode;
  /** Why it does not run in the driver. */
  readonly refusal: AnyhopError | undefined;
}

/**
 * Attaches a program to an interface without one, until its link is closed: in the driver if that supports XDP, otherwise before
 * the stack.
 * @throws AnyhopError ERR_INTERFACE with the driver's and the kernel's words
 */
export function attachProgram(
  program: Descriptor,
  interfaceLink: Pick<Link, 'name' | 'index' | 'mtu'>,
): Attached {
  return inEitherMode(interfaceLink, (mode) => {
    const link = XdpLink.create(program, interfaceLink.index, mode);
    return typeof link === 'string' ? link : { link };
  });
}

/**
 * Attaches in the driver if that supports XDP, otherwise before the stack.
 * @param attach returns why not, in the words of the kernel and the driver
 * @throws AnyhopError ERR_INTERFACE when neither is possible
 */
export function inEitherMode<T extends object>(
  interfaceLink: Pick<Link, 'name' | 'mtu'>,
  attach: (mode: XdpMode) => T | string,
): T & Pick<Attached, 'mode' | 'refusal'> {
  const native = attach('native');
  if (typeof native !== 'string') return { ...native, mode: 'native', refusal: undefined };
  const refusal = driverRefusal(interfaceLink, native);
  const generic = attach('generic');
  if (typeof generic !== 'string') return { ...generic, mode: 'generic', refusal };
  throw new AnyhopError(
    'ERR_INTERFACE',
    `${interfaceLink.name} accepts no XDP program: ${firstLine(generic)}`,
    {
      ...(refusal.hint !== undefined && { hint: refusal.hint }),
    },
  );
}

/** The same, with a pinned link, so that the program outlives the process. */
export function attach(
  program: Descriptor,
  interfaceLink: Pick<Link, 'name' | 'index' | 'mtu'>,
  directory: string,
): Attachment & Pick<Attached, 'refusal'> {
  const attached = attachProgram(program, interfaceLink);
  try {
    attached.link.descriptor.pin(linkPath(directory));
  } catch (error) {
    attached.link.descriptor.close(); // removes the program
    throw error;
  }
  return { ...attached, programId: program.programId() };
}

/** The driver's refusal, and what to do. @param words from native/lib/link.c */
export function driverRefusal({ name, mtu }: Pick<Link, 'name' | 'mtu'>, words: string): AnyhopError {
  const driver = /Kernel error message: (.*)/.exec(words)?.[1];
  const reason = driver ?? firstLine(words);
  return new AnyhopError('ERR_INTERFACE', `the driver of ${name} refuses XDP: ${reason}`, {
    hint: /\bLRO|GRO_HW|hw-gro/i.test(reason)
      ? `Switch off merging in the card: ethtool -K ${name} lro off rx-gro-hw off`
      : /\bMTU|too large|page|frags/i.test(reason)
        ? `Its MTU is ${mtu}, and a packet must fit a page: ip link set dev ${name} mtu 3498 (for veth, on both ends)`
        : /not supported/i.test(reason)
          ? 'The driver does not support XDP; generic XDP costs more per packet.'
          : `See dmesg, and: ethtool -i ${name}`,
  });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0];
}
