/**
 * Who the fleet is for a backend: whom it takes GRE from and for which services, which addresses are backends', and whom second chance may send
 * on to.
 * fleet-history.ts has those of former configs.
 */
import type { Config, LoadedConfig, PoolConfig, ServiceConfig } from '../config/types.js';
import type { IpAddress, IpPrefix } from '../packet/address.js';

/** A backend that a GRE key may name. */
export interface Peer {
  readonly address: IpAddress;
  /** By which keys name it; 0: none does. */
  readonly id: number;
  /** Whether it takes GRE with a key. */
  readonly agent: boolean;
}

/** What packets of a service are for. */
export type Served = Pick<ServiceConfig, 'vip' | 'protocol' | 'portFirst' | 'portLast'>;

export interface Fleet {
  readonly forwarders: readonly IpPrefix[];
  /** Every address that a backend has or, by the prior state, had: the peers of each other. */
  readonly backends: readonly IpAddress[];
  /** Those of the pools that a service with second chance uses. An id names one address; an address may have had several. */
  readonly peers: readonly Peer[];
  readonly services: readonly Served[];
}

export function fleetOf(config: Pick<LoadedConfig<'agent'>, 'agent' | 'pools' | 'services'>): Fleet {
  return {
    forwarders: config.agent.forwarders,
    backends: backendAddresses(config),
    peers: peersOf(config),
    services: config.services.map(({ vip, protocol, portFirst, portLast }) => ({
      vip,
      protocol,
      portFirst,
      portLast,
    })),
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
    services: distinctBy([...present.services, ...former.flatMap(({ services }) => services)], textOfService),
  };
}

/** All of a fleet as text. */
export function namesOf({ forwarders, backends, peers, services }: Fleet): string[] {
  const addresses = [...forwarders, ...backends].map(({ text }) => text);
  return [...addresses, ...peers.map(nameOf), ...services.map(textOfService)];
}

function textOfService({ vip, protocol, portFirst, portLast }: Served): string {
  return `${vip.text} ${protocol} ${portFirst}-${portLast}`;
}

function nameOf({ id, address }: Peer): string {
  return `${id} ${address.text}`;
}

function distinctPeers(list: readonly Peer[]): Peer[] {
  return distinctBy(list, nameOf);
}

function distinct<T extends { readonly text: string }>(list: readonly T[]): T[] {
  return distinctBy(list, ({ text }) => text);
}

function distinctBy<T>(list: readonly T[], text: (each: T) => string): T[] {
  return [...new Map(list.map((each) => [text(each), each])).values()];
}
