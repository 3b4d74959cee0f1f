/**
 * Who the fleet is for a backend: whom it takes GRE from, which addresses are backends', and whom second chance may send on to. A
 * reload may change all three, and no two machines reload at the same moment: what the config before said holds on for a settle
 * time. It is not kept over a restart.
 */
import type { Config, LoadedConfig, PoolConfig } from '../config/types.js';
import type { IpAddress, IpPrefix } from '../packet/address.js';

export interface Fleet {
  readonly forwarders: readonly IpPrefix[];
  /** Every address that a backend has or, by the prior state, had: the peers of each other. */
  readonly backends: readonly IpAddress[];
  /** Those of the pools that a service with second chance uses: a GRE key may name them. No two have the same last four bytes. */
  readonly peers: readonly IpAddress[];
}

export function fleetOf(config: Pick<LoadedConfig<'agent'>, 'agent' | 'pools' | 'services'>): Fleet {
  return {
    forwarders: config.agent.forwarders,
    backends: backendAddresses(config),
    peers: peerAddresses(config),
  };
}

/** Every address of all pools, by the prior state too. */
export function backendAddresses({ pools }: { readonly pools: readonly PoolConfig[] }): IpAddress[] {
  const backends = pools.flatMap((pool) => [...pool.backends, ...(pool.prior ?? [])]);
  return distinct(backends.map(({ address }) => address));
}

/** The same of the pools that a service with second chance uses. */
export function peerAddresses(config: Pick<Config, 'pools' | 'services'>): IpAddress[] {
  const used = new Set(config.services.flatMap(({ secondChance, pool }) => (secondChance ? [pool] : [])));
  return backendAddresses({ pools: config.pools.filter(({ name }) => used.has(name)) });
}

/** The raw word of a GRE key that names an address: all of an IPv4 one, the last four bytes of an IPv6 one. */
export function keyOf({ bytes }: IpAddress): Buffer {
  return Buffer.from(bytes.subarray(-4));
}

/** A fleet and what former ones had beside it. Of two peers that one key would name, the present one is meant. */
export function withFormer(present: Fleet, former: readonly Fleet[]): Fleet {
  const taken = new Set(present.peers.map((peer) => keyOf(peer).toString('hex')));
  const others = distinct(former.flatMap(({ peers }) => peers)).filter((peer) => {
    const key = keyOf(peer).toString('hex');
    return !taken.has(key) && taken.add(key) !== undefined;
  });
  return {
    forwarders: distinct([...present.forwarders, ...former.flatMap(({ forwarders }) => forwarders)]),
    backends: distinct([...present.backends, ...former.flatMap(({ backends }) => backends)]),
    peers: [...present.peers, ...others],
  };
}

interface FormerFleet {
  readonly fleet: Fleet;
  readonly untilMs: number;
}

/** Fleets of configs that are no longer in force, each until its settle time is over. */
export class FormerFleets {
  readonly #now: () => number;
  #list: readonly FormerFleet[] = [];

  /** @param now milliseconds of a clock that nobody sets */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Those that still hold. */
  inForce(): readonly Fleet[] {
    return this.#held().map(({ fleet }) => fleet);
  }

  /** Whether one has ceased to hold since the last `replaced`. */
  hasExpired(): boolean {
    return this.#held().length < this.#list.length;
  }

  /** Another config is in force now: what the one before had beside it holds on, for the longer settle time of the two. */
  replaced(before: LoadedConfig<'agent'>, next: LoadedConfig<'agent'>): void {
    const [fleet, present] = [fleetOf(before), fleetOf(next)];
    const settleMs = Math.max(...[...before.pools, ...next.pools].map((pool) => pool.settleMs));
    const isNews = (['forwarders', 'backends', 'peers'] as const).some((list) => {
      const known = new Set(present[list].map(({ text }) => text));
      return fleet[list].some(({ text }) => !known.has(text));
    });
    this.#list = [...this.#held(), ...(isNews ? [{ fleet, untilMs: this.#now() + settleMs }] : [])];
  }

  #held(): readonly FormerFleet[] {
    const nowMs = this.#now();
    return this.#list.filter(({ untilMs }) => untilMs > nowMs);
  }
}

function distinct<T extends { readonly text: string }>(list: readonly T[]): T[] {
  return [...new Map(list.map((each) => [each.text, each])).values()];
}
