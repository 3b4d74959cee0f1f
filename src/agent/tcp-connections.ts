/**
 * How many connections this host has on the VIPs, by service: what a drain waits for.
 *
 * A connection counts while both ends know of it and one of them may still send: ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT,
 * CLOSING, LAST_ACK. TIME_WAIT does not: everything has been said. Neither does SYN_RECV: a handshake is done, or given up,
 * within seconds, and a flood of SYNs would hold up every drain.
 */
import type { ServiceConfig } from '../config/types.js';
import { countTcpConnections } from '../ffi/sockets.js';
import type { IpAddress } from '../packet/address.js';
import type { VipReport } from './report.js';

/** How old an answer may be. */
const FRESH_MS = 1000;
/** The kernel is asked for at most this share of the time: with a million connections, once in ten seconds. */
const SHARE_MAX = 0.05;

const MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

export interface TcpConnectionsSystem {
  readonly count: typeof countTcpConnections;
  /** Milliseconds from any start. */
  readonly now: () => number;
}

const thisSystem: TcpConnectionsSystem = { count: countTcpConnections, now: () => performance.now() };

export class TcpConnections {
  readonly #services: readonly ServiceConfig[];
  readonly #system: TcpConnectionsSystem;
  #last: { readonly vips: readonly VipReport[]; readonly freshUntil: number } | undefined;

  /** @param services those of UDP have no connections and are left out */
  constructor(services: readonly ServiceConfig[], system: TcpConnectionsSystem = thisSystem) {
    this.#services = services.filter(({ protocol }) => protocol === 'tcp');
    this.#system = system;
  }

  /**
   * By VIP, in the order of the config; at most a second old, or older where there is much to count.
   * @throws AnyhopError ERR_BPF when the kernel does not answer
   */
  vips(): readonly VipReport[] {
    const { now, count } = this.#system;
    const started = now();
    if (this.#last !== undefined && started < this.#last.freshUntil) return this.#last.vips;
    const ranges = this.#services.map(({ vip, portFirst, portLast }) => ({
      address: mapped(vip),
      portFirst,
      portLast,
    }));
    const vips = byVip(this.#services, count(ranges));
    const ended = now();
    this.#last = { vips, freshUntil: ended + Math.max(FRESH_MS, (ended - started) / SHARE_MAX) };
    return vips;
  }
}

function byVip(services: readonly ServiceConfig[], counts: readonly number[]): VipReport[] {
  const found = new Map<string, [name: string, count: number][]>();
  for (const [i, { vip, name }] of services.entries()) {
    const list = found.get(vip.text) ?? [];
    list.push([name, counts[i]]);
    found.set(vip.text, list);
  }
  return [...found].map(([vip, list]) => ({
    vip,
    protocol: 'tcp',
    established: list.reduce((sum, [, each]) => sum + each, 0),
    services: Object.fromEntries(list),
  }));
}

/** 16 bytes, as the kernel's tables have it. */
function mapped({ family, bytes }: IpAddress): Uint8Array {
  return family === 6 ? bytes : Uint8Array.from([...MAPPED_PREFIX, ...bytes]);
}
