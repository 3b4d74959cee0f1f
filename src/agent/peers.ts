/**
 * Whom second chance may send a packet on to: the backends that a GRE key can name, and what the program must know of each of
 * them. It touches no program, as tables.ts does not.
 */
import { L } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';
import { outerHeaderSum, writeTemplate } from '../packet/template.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import { keyOf } from './fleet.js';
import { type MapEntry, u32 } from './tables.js';

/** The program's map `keys`: the row in the map `peers` of each of them, which is its place in the list. */
export function peerKeys(peers: readonly IpAddress[]): MapEntry[] {
  return peers.map((address, row) => [keyOf(address), u32(row)]);
}

/**
 * The program's map `peers`, in which ways change while packets are judged by them. The kernel copies an element byte by byte under
 * its readers' eyes, so a change is two writes: the first touches only the way that is not in force, the second only which one is.
 */
export class PeerRows {
  readonly #locals: readonly IpAddress[];
  /** By the address as text. */
  readonly #rows: ReadonlyMap<string, { key: Buffer; value: Buffer }>;

  /**
   * @param peers as in `peerKeys`
   * @param locals this host's own underlay addresses; what is sent on leaves from the first one of the peer's family
   */
  constructor(peers: readonly IpAddress[], locals: readonly IpAddress[]) {
    this.#locals = locals;
    this.#rows = new Map(
      peers.map(({ text }, row) => [text, { key: u32(row), value: Buffer.alloc(L.SIZEOF_AGENT_PEER) }]),
    );
  }

  /**
   * Puts a way to a peer in force.
   * @param hop a way that leaves by the agent's interface, or none
   * @returns what is to be written, in this order
   */
  change(peer: IpAddress, hop: NextHop | NoNextHop | undefined): MapEntry[] {
    const { key, value } = this.#rows.get(peer.text)!;
    const next = 1 - value.readUInt32LE(L.AGENT_PEER_IN_FORCE);
    value.set(wayTo(peer, this.#locals, hop), L.AGENT_PEER_WAYS + next * L.SIZEOF_AGENT_WAY);
    const first = Buffer.from(value);
    value.writeUInt32LE(next, L.AGENT_PEER_IN_FORCE);
    return [
      [key, first],
      [key, Buffer.from(value)],
    ];
  }
}

/** struct anyhop_agent_way. */
function wayTo(
  address: IpAddress,
  locals: readonly IpAddress[],
  hop: NextHop | NoNextHop | undefined,
): Buffer {
  const bytes = Buffer.alloc(L.SIZEOF_AGENT_WAY);
  if (locals.some(({ text }) => text === address.text)) {
    bytes.writeUInt32LE(L.AGENT_PEER_HERE, L.AGENT_WAY_STANDING);
    return bytes;
  }
  const source = sourceFor(address, locals);
  if (source === undefined || hop === undefined || hop.reason !== undefined) {
    bytes.writeUInt32LE(L.AGENT_PEER_NO_WAY, L.AGENT_WAY_STANDING);
    return bytes;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = L.AGENT_WAY_TEMPLATE;
  const way = { ...hop, name: address.text, address };
  const l2Length = writeTemplate(bytes, view, at, way, source, source);
  const is4 = address.family === 4;
  bytes.writeUInt16LE(hop.mtu, L.AGENT_WAY_PATH + L.PATH_MTU);
  bytes[L.AGENT_WAY_PATH + L.PATH_L2_LENGTH] = l2Length;
  bytes[L.AGENT_WAY_PATH + L.PATH_FLAGS] = is4 ? 0 : L.PATH_OUTER_IPV6;
  bytes.writeUInt16LE(is4 ? outerHeaderSum(view, at + l2Length) : 0, L.AGENT_WAY_PATH + L.PATH_CHECKSUM);
  bytes.writeUInt32LE(L.AGENT_PEER_WAY, L.AGENT_WAY_STANDING);
  return bytes;
}

/** The own address that packets for a peer leave from. */
export function sourceFor(peer: IpAddress, locals: readonly IpAddress[]): IpAddress | undefined {
  return locals.find(({ family }) => family === peer.family);
}
