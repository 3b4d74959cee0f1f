/**
 * What forwarders and backends go through, looked at twice a second: packets by verdict, half-open connections in the backends' SYN
 * queues, and SYNs that a backend's kernel answered with a cookie of its own because its queue was full.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import type { FloodFleet } from './fleet.js';

const INTERVAL_MS = 500;
/** Of a socket in /proc/net/tcp that has had a SYN and no more. */
const SYN_RECEIVED = '03';

export interface Look {
  readonly atMs: number;
  /** Packets by verdict, of all forwarders together. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** The fullest of the backends' queues. */
  readonly halfOpen: number;
  readonly kernelCookies: number;
}

export class Witness {
  readonly looks: Look[] = [];
  readonly #fleet: FloodFleet;
  #stopping = false;
  readonly #done: Promise<void>;

  constructor(fleet: FloodFleet) {
    this.#fleet = fleet;
    this.#done = this.#watch();
  }

  /** Looks a last time. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async #watch(): Promise<void> {
    do {
      this.looks.push(await lookAt(this.#fleet));
      await delay(INTERVAL_MS);
    } while (!this.#stopping);
    this.looks.push(await lookAt(this.#fleet));
  }
}

/** One look. */
export async function lookAt({ lab }: FloodFleet): Promise<Look> {
  const statuses = await Promise.all(
    lab.forwarders.map((_, index) => ask(lab.socket(index), '/status') as Promise<NodeStatus>),
  );
  const verdicts: Record<string, number> = {};
  for (const status of statuses)
    for (const [name, { packets }] of Object.entries(status.verdicts))
      verdicts[name] = (verdicts[name] ?? 0) + packets;
  const pids = lab.servers.map(({ pid }) => pid);
  return {
    atMs: Date.now(),
    verdicts,
    halfOpen: Math.max(...pids.map(halfOpen)),
    kernelCookies: pids.reduce((sum, pid) => sum + kernelCookies(pid), 0),
  };
}

/** Half-open connections in the network namespace of a process. */
export function halfOpen(pid: number): number {
  return ['tcp', 'tcp6']
    .flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'utf8').split('\n'))
    .filter((line) => line.trim().split(/\s+/, 4)[3] === SYN_RECEIVED).length;
}

/** SYNs that the kernel answered with a cookie of its own, in the network namespace of a process. */
export function kernelCookies(pid: number): number {
  const [names = '', values = ''] = readFileSync(`/proc/${pid}/net/netstat`, 'utf8').split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('SyncookiesSent')] ?? 0);
}
