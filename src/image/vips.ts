/**
 * Arranges services in the order of the image: by VIP, protocol and port, followed by entries for fragments. A VIP has the number
 * of its first service and their count, for a binary search by port.
 */
import type { HashMode, Protocol, ServiceConfig } from '../config/types.js';
import { L } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';

/** One service entry of the image. */
export interface ServiceEntry {
  readonly vip: IpAddress;
  readonly protocol: Protocol;
  readonly pool: string;
  readonly hash: HashMode;
  readonly secondChance: boolean;
  /** Inclusive; 0 and 0 for an entry for fragments. */
  readonly portFirst: number;
  readonly portLast: number;
  /** Counter number of the configured service. */
  readonly counter: number;
}

export interface VipServices {
  /** Number of the first entry, and their count. */
  readonly first: number;
  readonly count: number;
  /** Number of the entry for fragments, or one of L.FRAGMENT_... */
  readonly fragment: number;
}

export interface VipEntry {
  readonly address: IpAddress;
  readonly tcp: VipServices;
  readonly udp: VipServices;
}

/** @param counters counter number of each service */
export function arrangeServices(
  services: readonly ServiceConfig[],
  counters: readonly number[],
): { vips: VipEntry[]; entries: ServiceEntry[] } {
  const byVip = new Map<string, ServiceEntry[]>();
  for (const [index, service] of services.entries()) {
    const others = byVip.get(service.vip.text) ?? [];
    byVip.set(service.vip.text, [...others, { ...service, counter: counters[index] }]);
  }
  const entries: ServiceEntry[] = [];
  const fragments: ServiceEntry[] = [];
  const arrange = (vip: readonly ServiceEntry[], protocol: Protocol): VipServices => {
    const own = vip.filter((entry) => entry.protocol === protocol).sort((a, b) => a.portFirst - b.portFirst);
    const first = entries.length;
    entries.push(...own);
    const answering = answerForFragments(own, protocol);
    if (typeof answering === 'number') return { first, count: own.length, fragment: answering };
    fragments.push(answering);
    return { first, count: own.length, fragment: services.length + fragments.length - 1 };
  };
  const vips = [...byVip.values()].map((own) => ({
    address: own[0].vip,
    tcp: arrange(own, 'tcp'),
    udp: arrange(own, 'udp'),
  }));
  return { vips, entries: [...entries, ...fragments] };
}

/**
 * The entry for fragments of a VIP's services of one protocol, since fragments have no ports; or the reason why there is none.
 */
function answerForFragments(own: readonly ServiceEntry[], protocol: Protocol): ServiceEntry | number {
  const [first] = own;
  if (first === undefined) return L.FRAGMENT_AMBIGUOUS; // never used: there is no service
  if (protocol === 'tcp' && own.some((entry) => entry.hash === '5-tuple')) return L.FRAGMENT_NEEDS_PORTS;
  if (own.some((entry) => entry.pool !== first.pool)) return L.FRAGMENT_AMBIGUOUS;
  const bySource = own.filter((entry) => entry.hash === 'source').length;
  if (bySource > 0 && bySource < own.length) return L.FRAGMENT_AMBIGUOUS;
  // No key: without ports, an agent cannot find a fragment's socket.
  return {
    ...first,
    hash: bySource > 0 ? 'source' : '3-tuple',
    secondChance: false,
    portFirst: 0,
    portLast: 0,
  };
}
