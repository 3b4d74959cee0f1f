/**
 * Services in the order of the image: by VIP, protocol and port, then the entries that answer for fragments. A VIP tells
 * where its services start and how many they are, so that a port is found by halving.
 */
import type { HashMode, Protocol, ServiceConfig } from '../config/types.js';
import { L } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';

/** One service entry of the image. */
export interface ServiceEntry {
  readonly vip: IpAddress;
  readonly protocol: Protocol;
  /** Name of the pool. */
  readonly pool: string;
  readonly hash: HashMode;
  readonly secondChance: boolean;
  /** Both included; 0 and 0 for an entry that answers for fragments. */
  readonly portFirst: number;
  readonly portLast: number;
  /** Whose counters it feeds: those of a configured service. */
  readonly counter: number;
}

export interface VipServices {
  /** Number of the first entry, and how many there are. */
  readonly first: number;
  readonly count: number;
  /** Number of the entry that answers for fragments, or one of L.FRAGMENT_... */
  readonly fragment: number;
}

export interface VipEntry {
  readonly address: IpAddress;
  readonly tcp: VipServices;
  readonly udp: VipServices;
}

/** @param counters number of each service's counters */
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

/** The entry for fragments, which show no ports, of a VIP's services of one protocol; or the reason why there is none. */
function answerForFragments(own: readonly ServiceEntry[], protocol: Protocol): ServiceEntry | number {
  const [first] = own;
  if (first === undefined) return L.FRAGMENT_AMBIGUOUS; // not looked at: without ports there is no service
  if (protocol === 'tcp' && own.some((entry) => entry.hash === '5-tuple')) return L.FRAGMENT_NEEDS_PORTS;
  if (own.some((entry) => entry.pool !== first.pool)) return L.FRAGMENT_AMBIGUOUS;
  const bySource = own.filter((entry) => entry.hash === 'source').length;
  if (bySource > 0 && bySource < own.length) return L.FRAGMENT_AMBIGUOUS;
  // No key: without its ports, an agent could not tell whose a fragment is.
  return {
    ...first,
    hash: bySource > 0 ? 'source' : '3-tuple',
    secondChance: false,
    portFirst: 0,
    portLast: 0,
  };
}
