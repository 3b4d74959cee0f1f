/** The floods of the demo, and the generator that makes them. */
import { fileURLToPath } from 'node:url';
import type { LabProcess } from '../lab/process.js';
import { HOST_LINK, VIP4, VIP6 } from '../lab/topology.js';
import type { Generated } from '../native/generator.js';
import { type FloodFleet, PORT } from './fleet.js';

const TRAFFIC = fileURLToPath(new URL('../traffic.js', import.meta.url));
/** Beyond the flood's own time: the generator starts, and ends. */
const SLACK_MS = 15_000;

export interface Flood {
  readonly title: string;
  readonly protocol: 'tcp' | 'udp';
  /** Whether a defended forwarder ends it; else the backends' agents do. */
  readonly endsAtEdge: boolean;
  /** The generator's options. */
  readonly options: readonly string[];
}

export const SPOOFED_SYNS: Flood = {
  title: 'spoofed SYNs',
  protocol: 'tcp',
  endsAtEdge: true,
  options: ['--spoofed', '--syn', '100'],
};
export const SPOOFED_ACKS: Flood = {
  title: 'spoofed ACKs',
  protocol: 'tcp',
  endsAtEdge: false,
  options: ['--spoofed'],
};
/** One address of each family, with 4,096 ports. */
export const HEAVY_SOURCE: Flood = {
  title: 'one heavy source',
  protocol: 'tcp',
  endsAtEdge: true,
  options: ['--flows', '4096', '--syn', '50'],
};
export const UDP: Flood = {
  title: 'UDP',
  protocol: 'udp',
  endsAtEdge: true,
  options: ['--spoofed', '--sizes', '512'],
};

/** Makes a flood for so long; resolves to what it had. */
export async function flood(
  { lab, attacker, routerMac }: FloodFleet,
  { title, protocol, options }: Flood,
  { rate, seconds }: { rate: number; seconds: number },
): Promise<Generated> {
  const to = [`${protocol}:${VIP4}:${PORT}`, `${protocol}:[${VIP6}]:${PORT}`];
  const argv = [
    ...[process.execPath, TRAFFIC, '--json', '--interface', HOST_LINK, '--mac', routerMac],
    ...to.flatMap((target) => ['--to', target]),
    ...['--rate', `${rate}`, '--pulses', '--count', `${rate * seconds}`, '--seconds', `${seconds}`],
    ...options,
  ];
  const generator: LabProcess = await lab.resources.startProcess(title, attacker.namespace, argv);
  const line = await generator.waitForLine(
    (text) => text.startsWith('{'),
    'count of packets',
    seconds * 1000 + SLACK_MS,
  );
  await generator.exited;
  return JSON.parse(line);
}
