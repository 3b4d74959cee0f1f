/** What the engine `af_xdp` needs, looked at before anything is changed. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { type Capability, missingCapabilities } from '../../core/capability.js';
import { AnyhopError } from '../../core/errors.js';
import { L } from '../../core/layout.gen.js';
import { Barrier } from '../../ffi/barrier.js';
import { interfaceQueues, XdpSocket } from '../../ffi/xsk.js';
import { P } from '../../packet/constants.js';
import type { Place } from '../../pins/directory.js';
import { type Link, requireEthernetLink } from '../../underlay/link.js';
import { requireCapabilities, requireKernel, requireNoProgram } from '../requirements.js';

const NEEDED: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_BPF', 'CAP_PERFMON'];
/** With it, locked memory has no limit; without, the limit may do. */
const TO_LOCK: Capability = 'CAP_IPC_LOCK';

/** Of each queue; half of them can wait to be forwarded: 2 ms of a million packets a second. */
export const FRAMES_PER_QUEUE = 4096;
/** What the kernel keeps free at the start of each frame (XDP_PACKET_HEADROOM), beside the headroom that it is asked for. */
const KERNEL_HEADROOM = 256;
/** A frame of packet memory is half a page or a page; beyond that a packet would have to lie in several. */
const FRAME_BYTES = [2048, 4096] as const;
const LAYER2_MAX = P.ETHERNET_HEADER + L.VLAN_TAGS_MAX * P.VLAN_TAG;

/** What tests replace of the system. */
export interface AfXdpSystem {
  readonly kernel?: string;
  /** Texts of /proc/self/status and /proc/self/limits. */
  readonly status?: string;
  readonly limits?: string;
}

/** What the engine starts from. */
export interface PreparedInterface {
  readonly link: Link & { readonly mac: Uint8Array };
  readonly queues: number;
  readonly frameBytes: number;
}

/**
 * Looks at the machine and changes nothing.
 * @throws AnyhopError ERR_BPF (kernel), ERR_CAPABILITY (capabilities, locked memory), ERR_INTERFACE (not there, down, not
 *   Ethernet, MTU, queues, another XDP program), ERR_NATIVE (not built)
 */
export async function requireAfXdp(
  { interface: interfaceName }: Pick<Place, 'interface'>,
  system: AfXdpSystem = {},
): Promise<PreparedInterface> {
  requireKernel('af_xdp', system.kernel ?? release());
  const status = system.status ?? readFileSync('/proc/self/status', 'utf8');
  requireCapabilities('af_xdp', NEEDED, [...NEEDED, TO_LOCK], status);
  const link = await requireEthernetLink(interfaceName);
  const frameBytes = frameBytesFor(link);
  const queues = requireQueues(interfaceName);
  if (missingCapabilities([TO_LOCK], status).length > 0) {
    requireLockedMemory(queues * FRAMES_PER_QUEUE * frameBytes, system.limits);
  }
  requireNoProgram(link);
  new Barrier(); // throws where the kernel has none
  trySocket(link.index);
  return { link, queues, frameBytes };
}

/** Packet memory is locked, and counts against a limit per user unless the process has CAP_IPC_LOCK. */
export function requireLockedMemory(
  needed: number,
  limits = readFileSync('/proc/self/limits', 'utf8'),
): void {
  const text = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1] ?? 'unlimited';
  if (text === 'unlimited' || Number(text) >= needed) return;
  throw new AnyhopError(
    'ERR_CAPABILITY',
    `the packet memory of ${mib(needed)} may not be locked: the limit is ${mib(Number(text))}, and CAP_IPC_LOCK is missing`,
    {
      hint: 'Give the process CAP_IPC_LOCK, or raise the limit (systemd: LimitMEMLOCK=infinity; shell: ulimit -l unlimited).',
    },
  );
}

/** The smaller frame that a packet of the interface's MTU fits. */
function frameBytesFor({ name, mtu }: Link): number {
  const room = (bytes: number): number => bytes - KERNEL_HEADROOM - L.HEADROOM - LAYER2_MAX;
  const found = FRAME_BYTES.find((bytes) => mtu <= room(bytes));
  if (found !== undefined) return found;
  const most = room(FRAME_BYTES[1]);
  throw new AnyhopError(
    'ERR_INTERFACE',
    `the MTU of ${name} is ${mtu}: the engine af_xdp takes ${most} at most`,
    {
      hint: `ip link set dev ${name} mtu ${most}, for all machines of that network; or engine: portable.`,
    },
  );
}

/** A socket sends by the queue that it receives from. */
function requireQueues(name: string): number {
  const { receive, send } = interfaceQueues(name);
  if (send >= receive) return receive;
  throw new AnyhopError('ERR_INTERFACE', `${name} has ${receive} receive but only ${send} transmit queues`, {
    hint: `The engine af_xdp needs as many of both: ethtool -L ${name} rx ${send}; or: ethtool -L ${name} tx ${receive}.`,
  });
}

/** A kernel may be built without AF_XDP. */
function trySocket(interfaceIndex: number): void {
  new XdpSocket({ interfaceIndex, queue: 0, frameBytes: FRAME_BYTES[0], frames: 64, headroom: 0 }).close();
}

function mib(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
