/**
 * A client of a backend's VIP, written by hand, segment by segment: every packet of it has a key that names an alternate, as
 * after a change that has moved its slot.
 */
import { keyWord } from '#anyhop/packet/second-chance-key.js';
import {
  frame,
  gre,
  icmpError,
  icmpv6Error,
  ipv4,
  ipv6,
  type Layer,
  packet,
  payload,
  type TcpFlag,
  tcp,
} from '../packets/build.js';
import type { DecodedPacket } from '../packets/decode.js';
import type { Backend } from './backend.js';
import { CLIENT, CLIENT6, inner4, inner6, outer4, outer6, VIP, VIP6 } from './fixture.js';

export const PORT = 81;
export const MSS = 1300; // fits the wire with all headers around it
/** Of the path, as an ICMP error tells it. */
export const MTU = 1280;
export const FLAGS = { fin: 0x01, syn: 0x02, rst: 0x04, ack: 0x10 } as const;

/** Answers each segment with as many bytes; "end" makes it the first to close, and otherwise it never does. */
export const SERVER = `
const { createServer } = require('node:net');
let left = 2;
for (const vip of ['${VIP}', '${VIP6}'])
  createServer({ allowHalfOpen: true }, (client) =>
    client.on('error', () => {}).on('data', (data) => (String(data) === 'end' ? client.end() : client.write(data))),
  ).listen(${PORT}, vip, () => --left === 0 && console.log('listening'));`;

export const FAMILIES = [
  { family: 4, outer: outer4, inner: inner4, client: CLIENT, vip: VIP, id: 12, peer: '10.1.0.12' },
  {
    family: 6,
    outer: outer6,
    inner: inner6,
    client: CLIENT6,
    vip: VIP6,
    id: 18,
    peer: 'fd00:1::12',
  },
] as const;

interface Segment {
  readonly sequence: number;
  readonly acknowledgment: number;
  readonly flags: number;
  readonly data: string;
  readonly packet: DecodedPacket;
}

export class Client {
  readonly #backend: Backend;
  readonly #on: (typeof FAMILIES)[number];
  readonly #sport: number;
  /** Next to be sent, and next to be received. */
  #next = 1000;
  #expected = 0;

  constructor(backend: Backend, on: (typeof FAMILIES)[number], sport: number) {
    this.#backend = backend;
    this.#on = on;
    this.#sport = sport;
  }

  /** Any packet of the flow's. */
  send(...layers: Layer[]): void {
    const { outer, id } = this.#on;
    const key = gre({ key: keyWord(0, id, 0), alternates: true });
    this.#backend.send(frame({}, outer(), key, ...layers));
  }

  /** @param shift of the sequence number: a keepalive probe has the last one again */
  segment(flags: readonly TcpFlag[], data = '', shift = 0): void {
    const isSyn = flags.includes('syn');
    const header = tcp({
      sport: this.#sport,
      dport: PORT,
      flags,
      sequence: this.#next + shift,
      acknowledgment: isSyn ? 0 : this.#expected,
      ...(isSyn && { options: Uint8Array.of(2, 4, MSS >> 8, MSS & 0xff) }),
    });
    this.send(this.#on.inner(), header, ...(data === '' ? [] : [payload(data)]));
    this.#next += data.length + (isSyn || flags.includes('fin') ? 1 : 0);
  }

  /** The next segment of the server that `wanted` accepts; it counts as received. */
  async answer(what: string, wanted: (segment: Segment) => boolean): Promise<Segment> {
    let found: Segment | undefined;
    await this.#backend.answer(what, (each) => {
      const segment = segmentOf(each);
      if (segment === undefined || each.transport?.kind !== 'tcp') return false;
      if (each.transport.dport !== this.#sport || !wanted(segment)) return false;
      found = segment;
      return true;
    });
    const { sequence, flags, data } = found!;
    this.#expected = sequence + data.length + (flags & (FLAGS.syn | FLAGS.fin) ? 1 : 0);
    return found!;
  }

  /** A SYN, answered: the backend is in SYN-RECEIVED. */
  async open(): Promise<void> {
    this.segment(['syn']);
    await this.answer('SYN-ACK', ({ flags }) => flags === (FLAGS.syn | FLAGS.ack));
  }

  async establish(): Promise<void> {
    await this.open();
    this.segment(['ack']);
    await this.echo('hello');
  }

  async echo(text: string): Promise<Segment> {
    this.segment(['ack', 'psh'], text);
    const answer = await this.answer('echo', ({ data }) => data.length > 0);
    this.segment(['ack']);
    return answer;
  }

  /** A keepalive probe is answered by an ACK of what has been said (RFC 9293 section 3.8.4). */
  async probe(): Promise<void> {
    this.segment(['ack'], '', -1);
    const expected = this.#next;
    await this.answer(
      'answer to the probe',
      ({ flags, data, acknowledgment }) => flags === FLAGS.ack && data === '' && acknowledgment === expected,
    );
  }

  /** An ICMP error about a segment of the server that is on its way. */
  tooBig({ sequence }: Segment): void {
    const { family, client, vip } = this.#on;
    const quoted = tcp({ sport: PORT, dport: this.#sport, sequence });
    if (family === 4) {
      const about = packet(ipv4({ src: vip, dst: client, df: true }), quoted);
      this.send(ipv4({ src: '192.0.2.1', dst: vip, ttl: 61 }), icmpError({ type: 3, mtu: MTU, about }));
    } else {
      const about = packet(ipv6({ src: vip, dst: client }), quoted);
      this.send(ipv6({ src: '2001:db8:9::1', dst: vip }), icmpv6Error({ type: 2, mtu: MTU, about }));
    }
  }
}

function segmentOf(each: DecodedPacket): Segment | undefined {
  if (each.transport?.kind !== 'tcp') return undefined;
  const header = Buffer.from(each.payload);
  return {
    sequence: header.readUInt32BE(4),
    acknowledgment: header.readUInt32BE(8),
    flags: header[13] & (FLAGS.fin | FLAGS.syn | FLAGS.rst | FLAGS.ack),
    data: Buffer.from(each.transport.data).toString(),
    packet: each,
  };
}
