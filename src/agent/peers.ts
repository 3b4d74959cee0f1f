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
 * The program's map `peers`, in which paths change while packets are judged by them. The kernel copies an element byte by byte while
 * readers read it, so a change is two writes: the first touches only the path that is not in force, the second only which one is.
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
   * Puts the path to a peer in force.
   * @param hop a next hop that leaves by the agent's interface, or none
   * @returns what is to be written, in this order
   */
  change(peer: IpAddress, hop: NextHop | NoNextHop | undefined): MapEntry[] {
    const { key, value } = this.#rows.get(peer.text)!;
    const next = 1 - value.readUInt32LE(L.AGENT_PEER_IN_FORCE);
    value.set(pathTo(peer, this.#locals, hop), L.AGENT_PEER_PATHS + next * L.SIZEOF_AGENT_PATH);
    const first = Buffer.from(value);
    value.writeUInt32LE(next, L.AGENT_PEER_IN_FORCE);
    return [
      [key, first],
      [key, Buffer.from(value)],
    ];
  }
}

/** struct anyhop_agent_path. */
function pathTo(
  address: IpAddress,
  locals: readonly IpAddress[],
  hop: NextHop | NoNextHop | undefined,
): Buffer {
  const bytes = Buffer.alloc(L.SIZEOF_AGENT_PATH);
  if (locals.some(({ text }) => text === address.text)) {
    bytes.writeUInt32LE(L.AGENT_PEER_HERE, L.AGENT_PATH_STANDING);
    return bytes;
  }
  const source = sourceFor(address, locals);
  if (source === undefined || hop === undefined || hop.reason !== undefined) {
    bytes.writeUInt32LE(L.AGENT_PEER_NO_PATH, L.AGENT_PATH_STANDING);
    return bytes;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = L.AGENT_PATH_TEMPLATE;
  const path = { ...hop, name: address.text, address };
  const l2Length = writeTemplate(bytes, view, at, path, source, source);
  const is4 = address.family === 4;
  bytes.writeUInt16LE(hop.mtu, L.AGENT_PATH_PATH + L.PATH_MTU);
  bytes[L.AGENT_PATH_PATH + L.PATH_L2_LENGTH] = l2Length;
  bytes[L.AGENT_PATH_PATH + L.PATH_FLAGS] = is4 ? 0 : L.PATH_OUTER_IPV6;
  bytes.writeUInt16LE(is4 ? outerHeaderSum(view, at + l2Length) : 0, L.AGENT_PATH_PATH + L.PATH_CHECKSUM);
  bytes.writeUInt32LE(L.AGENT_PEER_PATH, L.AGENT_PATH_STANDING);
  return bytes;
}

/** The own address that packets for a peer leave from. */
export function sourceFor(peer: IpAddress, locals: readonly IpAddress[]): IpAddress | undefined {
  return locals.find(({ family }) => family === peer.family);
}
