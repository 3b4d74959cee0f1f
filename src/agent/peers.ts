/**
 * Whom second chance may send a packet on to: the backends that a GRE key can name, and what the program must know of each of
 * them. It touches no program, as tables.ts does not.
 */
import { L } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';
import { outerHeaderSum, writeTemplate } from '../packet/template.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import type { Peer } from './fleet.js';
import { type MapEntry, u32 } from './tables.js';

interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
  /** Whether it takes GRE with a key. */
  readonly agent: boolean;
}

/**
 * The program's maps `ids` and `keys`, which say where a backend is found, and `peers`, a row for each backend on another host.
 *
 * Paths change while packets are judged by them. The kernel copies an element byte by byte while readers read it, so a change is two
 * writes: the first touches only the path that is not in force, the second only which one is.
 */
export class PeerRows {
  /** In the order of their rows. */
  readonly addresses: readonly IpAddress[];
  readonly #peers: readonly Peer[];
  readonly #locals: readonly IpAddress[];
  /** By the address as text. */
  readonly #rows: ReadonlyMap<string, Row>;

  /**
   * @param peers this host's own among them; of two with one key of the former format, the first is meant
   * @param locals this host's own underlay addresses; what is sent on leaves from the first one of the peer's family
   */
  constructor(peers: readonly Peer[], locals: readonly IpAddress[]) {
    const own = new Set(locals.map(({ text }) => text));
    const others = new Map(peers.map(({ address }) => [address.text, address]));
    this.addresses = [...others.values()].filter(({ text }) => !own.has(text));
    this.#peers = peers;
    this.#locals = locals;
    const bare = new Set(peers.filter(({ agent }) => !agent).map(({ address }) => address.text));
    this.#rows = new Map(
      this.addresses.map(({ text }, row) => [
        text,
        { key: u32(row), value: Buffer.alloc(L.SIZEOF_AGENT_PEER), agent: !bare.has(text) },
      ]),
    );
  }

  /** The map `ids`. */
  ids(): MapEntry[] {
    const places = Buffer.alloc(L.SIZEOF_AGENT_IDS);
    for (const { id, address } of this.#peers) {
      if (id !== 0) places.writeUInt32LE(this.#placeOf(address), L.AGENT_IDS_PLACES + 4 * id);
    }
    return [[u32(0), places]];
  }

  /** The map `keys`: all of an IPv4 address, or the last four bytes of an IPv6 one. */
  keys(): MapEntry[] {
    const entries = this.#peers.map(({ address }): MapEntry => {
      return [Buffer.from(address.bytes.subarray(-4)), u32(this.#placeOf(address))];
    });
    return [...new Map(entries.reverse().map((entry) => [entry[0].toString('hex'), entry])).values()];
  }

  /**
   * Puts the path to a peer in force.
   * @param hop a next hop that leaves by the agent's interface, or none
   * @returns what is to be written into the map `peers`, in this order
   */
  change(peer: IpAddress, hop: NextHop | NoNextHop | undefined): MapEntry[] {
    const { key, value, agent } = this.#rows.get(peer.text)!;
    const next = 1 - value.readUInt32LE(L.AGENT_PEER_IN_FORCE);
    value.set(pathTo(peer, agent, this.#locals, hop), L.AGENT_PEER_PATHS + next * L.SIZEOF_AGENT_PATH);
    const first = Buffer.from(value);
    value.writeUInt32LE(next, L.AGENT_PEER_IN_FORCE);
    return [
      [key, first],
      [key, Buffer.from(value)],
    ];
  }

  /** enum anyhop_agent_place. */
  #placeOf({ text }: IpAddress): number {
    const row = this.#rows.get(text)?.key.readUInt32LE();
    return row === undefined ? L.AGENT_PLACE_HERE : L.AGENT_PLACE_ROWS + row;
  }
}

/** struct anyhop_agent_path; all zero without a next hop. */
function pathTo(
  address: IpAddress,
  agent: boolean,
  locals: readonly IpAddress[],
  hop: NextHop | NoNextHop | undefined,
): Buffer {
  const bytes = Buffer.alloc(L.SIZEOF_AGENT_PATH);
  const source = sourceFor(address, locals);
  if (source === undefined || hop === undefined || hop.reason !== undefined) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = L.AGENT_PATH_TEMPLATE;
  const path = { ...hop, name: address.text, address };
  const l2Length = writeTemplate(bytes, view, at, path, source, source);
  const is4 = address.family === 4;
  bytes.writeUInt16LE(hop.mtu, L.AGENT_PATH_PATH + L.PATH_MTU);
  bytes[L.AGENT_PATH_PATH + L.PATH_L2_LENGTH] = l2Length;
  bytes[L.AGENT_PATH_PATH + L.PATH_FLAGS] = (is4 ? 0 : L.PATH_OUTER_IPV6) | (agent ? L.PATH_AGENT : 0);
  bytes.writeUInt16LE(is4 ? outerHeaderSum(view, at + l2Length) : 0, L.AGENT_PATH_PATH + L.PATH_CHECKSUM);
  return bytes;
}

/** The own address that packets for a peer leave from. */
export function sourceFor(peer: IpAddress, locals: readonly IpAddress[]): IpAddress | undefined {
  return locals.find(({ family }) => family === peer.family);
}
