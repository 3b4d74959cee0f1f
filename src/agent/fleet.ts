/**
 * Who the fleet is for a backend: whom it takes GRE from, which addresses are backends', and whom second chance may send on to. A
 * reload may change all three, and no two machines reload at the same moment: what the config before said holds on for a settle
 * time. It is not kept over a restart.
 */
import type { Config, LoadedConfig, PoolConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { IpAddress, IpPrefix } from '../packet/address.js';

/** A backend that a GRE key may name. */
export interface Peer {
  readonly address: IpAddress;
  /** By which keys name it; 0: none does. */
  readonly id: number;
  /** Whether it takes GRE with a key. */
  readonly agent: boolean;
}

export interface Fleet {
  readonly forwarders: readonly IpPrefix[];
  /** Every address that a backend has or, by the prior state, had: the peers of each other. */
  readonly backends: readonly IpAddress[];
  /** Those of the pools that a service with second chance uses. An id names one address; an address may have had several. */
  readonly peers: readonly Peer[];
}

export function fleetOf(config: Pick<LoadedConfig<'agent'>, 'agent' | 'pools' | 'services'>): Fleet {
  return {
    forwarders: config.agent.forwarders,
    backends: backendAddresses(config),
    peers: peersOf(config),
  };
}

/** Every address of all pools, by the prior state too. */
export function backendAddresses({ pools }: { readonly pools: readonly PoolConfig[] }): IpAddress[] {
  return distinct(pools.flatMap(membersOf).map(({ address }) => address));
}

function membersOf({ backends, prior = [] }: PoolConfig) {
  return [...backends, ...prior];
}

/** The members of the pools that a service with second chance uses. */
function peersOf({ pools, services }: Pick<Config, 'pools' | 'services'>): Peer[] {
  const used = new Set(services.flatMap(({ secondChance, pool }) => (secondChance ? [pool] : [])));
  const members = pools.filter(({ name }) => used.has(name)).flatMap(membersOf);
  const bare = new Set(members.filter(({ agent }) => !agent).map(({ address }) => address.text));
  return distinctPeers(members.map(({ address, id }) => ({ address, id, agent: !bare.has(address.text) })));
}

/** A fleet and what former ones had beside it. */
export function withFormer(present: Fleet, former: readonly Fleet[]): Fleet {
  const agents = new Map(present.peers.map(({ address, agent }) => [address.text, agent]));
  const peers = former.flatMap((fleet) => fleet.peers);
  return {
    forwarders: distinct([...present.forwarders, ...former.flatMap(({ forwarders }) => forwarders)]),
    backends: distinct([...present.backends, ...former.flatMap(({ backends }) => backends)]),
    peers: distinctPeers([
      ...present.peers,
      ...peers.map((peer) => ({ ...peer, agent: agents.get(peer.address.text) ?? peer.agent })),
    ]),
  };
}

/**
 * An id is another machine's only when nobody can still mean the one that had it: a packet that a former config has sent on would
 * reach the wrong backend and be taken there.
 * @throws AnyhopError ERR_CONFIG when an id of the fleet names another address in a former one
 */
export function requireFreeIds(fleet: Fleet, former: readonly Fleet[]): void {
  const holders = new Map(former.flatMap(({ peers }) => peers.map(({ id, address }) => [id, address.text])));
  for (const { id, address } of fleet.peers) {
    const holder = id === 0 ? undefined : holders.get(id);
    if (holder === undefined || holder === address.text) continue;
    throw new AnyhopError(
      'ERR_CONFIG',
      `backend ${address.text} has the id ${id}, which ${holder} had within the settle time: packets on their way may still mean ${holder}`,
      { hint: 'Give the backend another id (id: N).' },
    );
  }
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
    const known = new Set(namesOf(present));
    const isNews = namesOf(fleet).some((name) => !known.has(name));
    this.#list = [...this.#held(), ...(isNews ? [{ fleet, untilMs: this.#now() + settleMs }] : [])];
  }

  #held(): readonly FormerFleet[] {
    const nowMs = this.#now();
    return this.#list.filter(({ untilMs }) => untilMs > nowMs);
  }
}

/** All of a fleet as text. */
function namesOf({ forwarders, backends, peers }: Fleet): string[] {
  return [...[...forwarders, ...backends].map(({ text }) => text), ...peers.map(nameOf)];
}

function nameOf({ id, address }: Peer): string {
  return `${id} ${address.text}`;
}

function distinctPeers(list: readonly Peer[]): Peer[] {
  return [...new Map(list.map((peer) => [nameOf(peer), peer])).values()];
}

function distinct<T extends { readonly text: string }>(list: readonly T[]): T[] {
  return [...new Map(list.map((each) => [each.text, each])).values()];
}
