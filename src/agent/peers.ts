/**
 * Whom second chance may send a packet on to: the backends that a GRE key can name, and the program's entry for each of
 * them. Pure, as tables.ts is.
 */
import type { Config } from '../config/types.js';
import { L } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';
import { outerHeaderSum, writeTemplate } from '../pool/template.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import { backendAddresses, type MapEntry } from './tables.js';

/** Every address of the pools that a service with second chance uses, by the prior state too. */
export function peerAddresses(config: Pick<Config, 'pools' | 'services'>): IpAddress[] {
  const used = new Set(config.services.flatMap(({ secondChance, pool }) => (secondChance ? [pool] : [])));
  return backendAddresses({ pools: config.pools.filter(({ name }) => used.has(name)) });
}

/**
 * The entry of a peer in the program's map `peers`.
 * @param locals this host's own underlay addresses; what is sent on leaves from the first one of the peer's family
 * @param hop a way that leaves by the agent's interface, or none
 */
export function peerEntry(
  address: IpAddress,
  locals: readonly IpAddress[],
  hop: NextHop | NoNextHop | undefined,
): MapEntry {
  const key = Buffer.from(address.bytes.subarray(-4));
  const value = Buffer.alloc(L.SIZEOF_AGENT_PEER);
  if (locals.some(({ text }) => text === address.text)) {
    value.writeUInt32LE(L.AGENT_PEER_HERE, L.AGENT_PEER_STANDING);
    return [key, value];
  }
  const source = sourceFor(address, locals);
  if (source === undefined || hop === undefined || hop.reason !== undefined) {
    value.writeUInt32LE(L.AGENT_PEER_NO_WAY, L.AGENT_PEER_STANDING);
    return [key, value];
  }
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const at = L.AGENT_PEER_TEMPLATE;
  const way = { ...hop, name: address.text, address };
  const l2Length = writeTemplate(value, view, at, way, source, source);
  const is4 = address.family === 4;
  value.writeUInt16LE(hop.mtu, L.AGENT_PEER_PATH + L.PATH_MTU);
  value[L.AGENT_PEER_PATH + L.PATH_L2_LENGTH] = l2Length;
  value[L.AGENT_PEER_PATH + L.PATH_FLAGS] = is4 ? 0 : L.PATH_OUTER_IPV6;
  value.writeUInt16LE(is4 ? outerHeaderSum(view, at + l2Length) : 0, L.AGENT_PEER_PATH + L.PATH_CHECKSUM);
  value.writeUInt32LE(L.AGENT_PEER_WAY, L.AGENT_PEER_STANDING);
  return [key, value];
}

/** The own address that packets for a peer leave from. */
export function sourceFor(peer: IpAddress, locals: readonly IpAddress[]): IpAddress | undefined {
  return locals.find(({ family }) => family === peer.family);
}
