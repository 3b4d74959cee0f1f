/**
 * What the path to a backend must take for its services, in bytes at layer 3: the smallest packets that senders still make
 * when they are told to make small ones, and the outer headers.
 *
 *   IPv6   1280 bytes (RFC 8200 section 5): no sender goes below that, so a path that takes less is none for IPv6 services
 *   IPv4   576 bytes: what every host takes (RFC 791). Linux goes down to 552 (net.ipv4.route.min_pmtu), real links have more
 *
 * A learned MTU is never believed below it (src/underlay/path-mtus.ts).
 */
import type { BackendConfig, PoolConfig, ServiceConfig } from '../config/types.js';
import { L } from '../core/layout.gen.js';
import { P } from '../packet/constants.js';

const IPV4_LEAST = 576;

export interface LeastMtu {
  /** For all of its services. */
  readonly all: number;
  /** For its IPv6 services; undefined when it has none. */
  readonly ipv6: number | undefined;
}

/** Services, and whom their packets are sent to. */
export interface Recipients {
  readonly services: readonly ServiceConfig[];
  readonly pools: readonly (Pick<PoolConfig, 'name' | 'backends'> & {
    /** Who may still have connections, beside these. */
    readonly prior?: readonly BackendConfig[] | undefined;
  })[];
}

/** By the text of a backend's address. The same object for the same object. */
export function leastMtus(served: Recipients): ReadonlyMap<string, LeastMtu> {
  const known = cache.get(served);
  if (known !== undefined) return known;
  const least = new Map<string, LeastMtu>();
  for (const pool of served.pools) {
    const services = served.services.filter((service) => service.pool === pool.name);
    const hasIpv6 = services.some(({ vip }) => vip.family === 6);
    const isKeyed = services.some(({ secondChance }) => secondChance);
    for (const backend of [...pool.backends, ...(pool.prior ?? [])]) {
      const outer = outerBytes(backend, isKeyed);
      const ipv6 = hasIpv6 ? L.IPV6_MTU_MIN + outer : undefined;
      const own = Math.max(ipv6 ?? IPV4_LEAST + outer, backend.address.family === 6 ? L.IPV6_MTU_MIN : 0);
      const before = least.get(backend.address.text);
      least.set(backend.address.text, {
        all: Math.max(own, before?.all ?? 0),
        ipv6: ipv6 === undefined ? before?.ipv6 : Math.max(ipv6, before?.ipv6 ?? 0),
      });
    }
  }
  cache.set(served, least);
  return least;
}

const cache = new WeakMap<object, ReadonlyMap<string, LeastMtu>>();

function outerBytes({ address, agent }: Pick<BackendConfig, 'address' | 'agent'>, isKeyed: boolean): number {
  const ip = address.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
  return ip + P.GRE_HEADER + (isKeyed && agent ? P.GRE_KEY : 0);
}

/**
 * What is to be said about a path that is too narrow for IPv6 services, or undefined.
 * @param mtu of the route, in bytes
 */
export function narrowForIpv6(name: string, mtu: number, least: LeastMtu | undefined): string | undefined {
  if (least?.ipv6 === undefined || mtu >= least.ipv6) return undefined;
  return (
    `the path to ${name} has an MTU of ${mtu}: IPv6 packets of 1280 bytes do not fit, and no sender makes smaller ones; ` +
    `raise it to ${least.ipv6} or more`
  );
}
