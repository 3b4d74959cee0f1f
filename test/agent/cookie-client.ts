/**
 * A client of a backend's VIP whose SYN a forwarder has answered with a SYN cookie: the backend hears of it only by what follows, which
 * is written here by hand, segment by segment.
 */
import { L } from '#anyhop/core/layout.gen.js';
import { cookieOptions } from '#anyhop/forward/cookie.js';
import { concat, frame, gre, type Layer, payload, type TcpFlag, tcp, tcpOption } from '../packets/build.js';
import { cookieOf } from '../packets/cookie.js';
import type { DecodedPacket } from '../packets/decode.js';
import type { Backend } from './backend.js';
import type { FAMILIES } from './client.js';

export const KEY = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
export const FORMER_KEY = Buffer.from('0123456789abcdef0123456789abcdef', 'hex');
export const COOKIE_PORT = 80;
/** Of Linux: what a client asks for unless a test says otherwise. */
const LINUX = { mss: 1460, sack: true, wscale: 7, timestamps: true } as const;

export const OWNERS = { 4: '10.1.0.11', 6: 'fd00:1::11' } as const;

export interface Handshake {
  readonly key?: Uint8Array;
  readonly port?: number;
  readonly mss?: number;
  readonly sack?: boolean;
  /** Undefined: neither side scales. */
  readonly wscale?: number | undefined;
  readonly timestamps?: boolean;
  readonly ecn?: boolean;
  readonly isn?: number;
  /** Underlay address of the backend that the forwarder meant. */
  readonly owner?: string;
  /** By how many epochs the forwarder's clock is ahead of the backend's. */
  readonly epochs?: number;
  /** How long ago the SYN was answered. */
  readonly ageMs?: number;
  /** Of the client's first timestamp. */
  readonly value?: number;
  /** In place of the forwarder's GRE around it: another underlay family, or a key. */
  readonly around?: readonly Layer[];
}

export function fleetMs(): number {
  return Date.now() - L.FLEET_CLOCK_START * 1000;
}

export interface Answer {
  readonly flags: readonly TcpFlag[];
  readonly data: string;
  readonly sequence: number;
  readonly acknowledgment: number;
}

const FLAG_BITS: Readonly<Partial<Record<TcpFlag, number>>> = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 };

export class CookieClient {
  readonly #backend: Backend;
  readonly #on: (typeof FAMILIES)[number];
  readonly #o: Handshake;
  readonly sport: number;
  readonly cookie: number;
  readonly #echo: number;
  readonly #answeredAt: number;
  #value: number;
  #next: number;
  #expected: number;

  constructor(backend: Backend, on: (typeof FAMILIES)[number], sport: number, o: Handshake = {}) {
    this.#backend = backend;
    this.#on = on;
    this.sport = sport;
    this.#o = { ...LINUX, ...o };
    const { mss, sack, wscale, isn = 0x12345678, epochs = 0, ageMs = 0, ecn = false } = this.#o;
    const answeredAt = fleetMs() - ageMs;
    const epoch = Math.floor(answeredAt / 2 ** L.COOKIE_EPOCH_SHIFT) + epochs;
    const flow = {
      client: on.client,
      clientPort: sport,
      vip: on.vip,
      port: o.port ?? COOKIE_PORT,
      isn,
      owner: o.owner ?? OWNERS[on.family],
    };
    const options = cookieOptions(mss ?? 0, Number(sack), wscale ?? L.COOKIE_NO_WSCALE, on.family);
    this.cookie = cookieOf(o.key ?? KEY, flow, epoch, options);
    this.#echo = (((answeredAt % 2 ** 32) & ~1) | Number(ecn)) >>> 0;
    this.#answeredAt = performance.now() - ageMs;
    this.#value = this.#o.value ?? sport * 1000;
    this.#next = (isn + 1) >>> 0;
    this.#expected = (this.cookie + 1) >>> 0;
  }

  /** @param shift of the sequence number */
  frame(flags: readonly TcpFlag[], data = '', shift = 0): Uint8Array {
    const { timestamps, around, port = COOKIE_PORT } = this.#o;
    const options = timestamps
      ? concat(tcpOption.nop(2), tcpOption.timestamps(this.#value++ >>> 0, this.#echo))
      : new Uint8Array(0);
    const header = tcp({
      sport: this.sport,
      dport: port,
      flags,
      sequence: (this.#next + shift) >>> 0,
      acknowledgment: flags.includes('ack') ? this.#expected : 0,
      options,
    });
    const inner = [this.#on.inner(), header, ...(data === '' ? [] : [payload(data)])];
    return frame({}, ...(around ?? [this.#on.outer(), gre()]), ...inner);
  }

  send(flags: readonly TcpFlag[], data = '', shift = 0): void {
    this.#backend.send(this.frame(flags, data, shift));
    this.#next = (this.#next + data.length) >>> 0;
  }

  /** How long ago the SYN was answered. */
  get ageMs(): number {
    return performance.now() - this.#answeredAt;
  }

  /** The end of the handshake. */
  ack(): void {
    this.send(['ack']);
  }

  request(text = 'hello'): void {
    this.send(['ack', 'psh'], text);
  }

  /** Whether a packet of the server is for this client. */
  isMine(packet: DecodedPacket): boolean {
    return packet.transport?.kind === 'tcp' && packet.transport.dport === this.sport;
  }

  async answer(what: string, wanted: (answer: Answer) => boolean): Promise<Answer> {
    let found: Answer | undefined;
    await this.#backend.answer(`${what} for port ${this.sport}`, (packet) => {
      if (!this.isMine(packet)) return false;
      const answer = answerOf(packet);
      if (!wanted(answer)) return false;
      found = answer;
      return true;
    });
    return found!;
  }

  /** The server's echo, which is then acknowledged. */
  async echo(text = 'hello'): Promise<Answer> {
    const found = await this.answer(`echo of ${text}`, ({ data }) => data === text);
    this.#expected = (found.sequence + text.length) >>> 0;
    this.send(['ack']);
    return found;
  }

  /** Acknowledges the end of the server's side, of which nothing else is outstanding, and ends this one. */
  finish(): void {
    this.#expected = (this.#expected + 1) >>> 0;
    this.send(['fin', 'ack']);
    this.#next = (this.#next + 1) >>> 0;
    this.send(['ack']);
  }

  reset(): void {
    this.send(['rst', 'ack']);
  }

  wasReset(): boolean {
    return this.#seen(({ flags }) => flags.includes('rst')) > 0;
  }

  /** How often an echo has come, besides those that were waited for. */
  repeats(text: string): number {
    return this.#seen(({ data }) => data === text);
  }

  #seen(wanted: (answer: Answer) => boolean): number {
    return this.#backend.seen((packet) => this.isMine(packet) && wanted(answerOf(packet)));
  }
}

function answerOf(packet: DecodedPacket): Answer {
  if (packet.transport?.kind !== 'tcp') throw new RangeError('not TCP');
  const header = Buffer.from(packet.payload);
  return {
    sequence: header.readUInt32BE(4),
    acknowledgment: header.readUInt32BE(8),
    flags: (Object.keys(FLAG_BITS) as TcpFlag[]).filter((flag) => header[13] & FLAG_BITS[flag]!),
    data: Buffer.from(packet.transport.data).toString(),
  };
}
