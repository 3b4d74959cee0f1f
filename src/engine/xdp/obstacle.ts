/** Why the `xdp` engine cannot work here, before anything is changed; each with what to do. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { AnyhopError } from '../../core/errors.js';
import { Barrier } from '../../ffi/barrier.js';
import { BpfObject } from '../../ffi/bpf.js';
import { type Link, requireEthernetLink } from '../../underlay/link.js';
import { findAttachment, requireNoOther } from './attachment.js';
import { pinDirectory, requireBpffs } from './directory.js';

export interface XdpPlace {
  readonly interface: string;
  /** A directory where a BPF file system is or can be mounted, or one in it. */
  readonly bpffs: string;
}

export interface PreparedPlace {
  readonly link: Link & { readonly mac: Uint8Array };
  /** Where the interface's pins are, or will be. */
  readonly directory: string;
  /** A process before this one left a program attached. */
  readonly isForwarding: boolean;
}

/** The first kernel with BPF links for XDP; what else is needed is older. */
const KERNEL_MIN = [5, 9] as const;
/** Bits of linux/capability.h. */
const CAP_SYS_ADMIN = 21n;
const NEEDED = { CAP_NET_ADMIN: 12n, CAP_PERFMON: 38n, CAP_BPF: 39n } as const;

/** What of the system a test puts its own in the place of. */
export interface XdpSystem {
  readonly kernel?: string;
  /** Text of /proc/self/status. */
  readonly processStatus?: string;
}

/** Undefined when nothing is in the way; loads the program to see, unless one is in force. Native or generic is found out by `start`. */
export async function xdpObstacle(place: XdpPlace): Promise<AnyhopError | undefined> {
  try {
    const { isForwarding } = await prepare(place);
    if (!isForwarding) new BpfObject('forward').close();
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
  requireKernel(system.kernel ?? release());
  requireCapabilities(system.processStatus ?? readFileSync('/proc/self/status', 'utf8'));
  const link = await requireEthernetLink(name);
  new Barrier(); // throws where the kernel has none
  await requireBpffs(bpffs);
  const directory = pinDirectory(bpffs, name);
  const attachment = findAttachment(directory, link.index);
  if (attachment === undefined) requireNoOther(link);
  attachment?.link.descriptor.close();
  return { link, directory, isForwarding: attachment !== undefined };
}

function requireKernel(kernel: string): void {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10));
  if (major > KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor >= KERNEL_MIN[1])) return;
  throw new AnyhopError('ERR_BPF', `Linux ${kernel} has no BPF links for XDP`, {
    hint: `The engine xdp needs Linux ${KERNEL_MIN.join('.')} or later; portable needs none of that.`,
  });
}

function requireCapabilities(status: string): void {
  const bits = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  const has = (bit: bigint): boolean => ((bits >> bit) & 1n) === 1n;
  const missing = Object.entries(NEEDED)
    .filter(([name, bit]) => !has(bit) && (name === 'CAP_NET_ADMIN' || !has(CAP_SYS_ADMIN)))
    .map(([name]) => name);
  if (missing.length === 0) return;
  throw new AnyhopError('ERR_CAPABILITY', `the engine xdp lacks ${missing.join(', ')}`, {
    hint:
      'Run it as root (sudo), or give the service all of them (systemd: User=anyhop, AmbientCapabilities=' +
      'CAP_NET_ADMIN CAP_BPF CAP_PERFMON).',
  });
}
