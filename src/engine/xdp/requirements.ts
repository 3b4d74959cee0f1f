/** Why the `xdp` engine cannot work here, before anything is changed; each with what to do. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Capability } from '../../core/capability.js';
import { AnyhopError } from '../../core/errors.js';
import { Barrier } from '../../ffi/barrier.js';
import { findAttachment } from '../../pins/attachment.js';
import { requireBpffs } from '../../pins/directory.js';
import { directoryOf } from '../../pins/find.js';
import { type Link, requireEthernetLink } from '../../underlay/link.js';
import { requireCapabilities, requireKernel } from '../requirement.js';
import { requireNoOther } from './attachment.js';

export interface XdpPlace {
  readonly interface: string;
  /** A directory where a BPF file system is or can be mounted, or one in it. */
  readonly bpffs: string;
}

export interface PreparedPlace {
  readonly link: Link & { readonly mac: Uint8Array };
  /** Where the interface's pins are, or will be. */
  readonly directory: string;
}

const NEEDED: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_BPF', 'CAP_PERFMON'];

/** What of the system a test puts its own in the place of. */
export interface XdpSystem {
  readonly kernel?: string;
  /** Text of /proc/self/status. */
  readonly processStatus?: string;
}

/**
 * Undefined when nothing is known to be in the way. Whether the kernel accepts the program shows when `start` loads it: the
 * verifier takes a second of CPU for it, so a trial load would double the time of a start.
 */
export async function xdpObstacle(place: XdpPlace): Promise<AnyhopError | undefined> {
  try {
    await prepare(place);
    return undefined;
  } catch (error) {
    if (error instanceof AnyhopError) return error;
    throw error;
  }
}

/**
 * Looks at everything that a start needs, and mounts a BPF file system if need be.
 * @throws AnyhopError ERR_BPF (kernel, BPF file system), ERR_CAPABILITY, ERR_INTERFACE (not there, not Ethernet, has another
 *   XDP program), ERR_NATIVE (not built)
 */
export async function prepare(
  { interface: name, bpffs }: XdpPlace,
  system: XdpSystem = {},
): Promise<PreparedPlace> {
  requireKernel('xdp', system.kernel ?? release());
  const status = system.processStatus ?? readFileSync('/proc/self/status', 'utf8');
  requireCapabilities('xdp', NEEDED, NEEDED, status);
  const link = await requireEthernetLink(name);
  new Barrier(); // throws where the kernel has none
  await requireBpffs(bpffs);
  const directory = directoryOf(bpffs, link);
  const attachment = findAttachment(directory, link.index);
  if (attachment === undefined) requireNoOther(link);
  attachment?.link.descriptor.close();
  return { link, directory };
}
