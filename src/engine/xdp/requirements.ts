/** What the engine `xdp` needs, looked at before anything is changed. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Capability } from '../../core/capability.js';
import { Barrier } from '../../ffi/barrier.js';
import { findAttachment } from '../../pins/attachment.js';
import { type Place, requireBpffs } from '../../pins/directory.js';
import { directoryOf } from '../../pins/find.js';
import { type Link, requireEthernetLink } from '../../underlay/link.js';
import { requireCapabilities, requireKernel, requireNoProgram } from '../requirements.js';

export interface PreparedPlace {
  readonly link: Link & { readonly mac: Uint8Array };
  /** Where the interface's pins are, or will be. */
  readonly directory: string;
}

const NEEDED: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_BPF', 'CAP_PERFMON'];

/** What tests replace of the system. */
export interface XdpSystem {
  readonly kernel?: string;
  /** Text of /proc/self/status. */
  readonly processStatus?: string;
}

/**
 * Looks at everything that a start needs, and mounts a BPF file system if need be. Whether the kernel accepts the program
 * shows when `start` loads it: the verifier takes 0.4 s of CPU or more for it, which a trial load would take once again.
 *
 * @throws AnyhopError ERR_BPF (kernel, BPF file system), ERR_CAPABILITY, ERR_INTERFACE (not there, not Ethernet, has another
 *   XDP program), ERR_NATIVE (not built)
 */
export async function requireXdp(
  { interface: name, bpffs }: Place,
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
  if (attachment === undefined) requireNoProgram(link);
  attachment?.link.descriptor.close();
  return { link, directory };
}
