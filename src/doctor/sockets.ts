/** Listening sockets of a host, and which service they serve. */
import type { ServiceConfig } from '../config/types.js';
import { requireTool } from '../core/tool.js';
import type { Facts } from './facts.js';

export interface Socket {
  /** `*`: all addresses of both families; `0.0.0.0`, `::`: all of one. */
  readonly address: string;
  readonly port: number;
  /** The only interface that it takes packets from; undefined: all. */
  readonly device: string | undefined;
}

const FLAGS = { tcp: '-t', udp: '-u', mptcp: '-M' } as const;

/** @param protocol a listener for MPTCP is one for TCP, too */
export async function listening({ host }: Facts, protocol: keyof typeof FLAGS): Promise<Socket[]> {
  const text = await requireTool(host.run, 'ss', ['-H', '-l', '-n', FLAGS[protocol]]);
  return text.split('\n').flatMap((line) => {
    const local = line.trim().split(/\s+/)[3];
    const [, address, device, port] = /^\[?([^\]%]*?)\]?(?:%(.+?))?\]?:(\d+)$/.exec(local ?? '') ?? [];
    return address === undefined ? [] : [{ address, port: Number(port), device }];
  });
}

/** Whether it takes what the agent delivers for a service. */
export function serves(
  { address, port, device }: Socket,
  { vip, portFirst, portLast }: ServiceConfig,
  { place }: Facts,
): boolean {
  if (port < portFirst || port > portLast) return false;
  if (device !== undefined && device !== place.interface) return false;
  return address === '*' || address === vip.text || address === (vip.family === 4 ? '0.0.0.0' : '::');
}
