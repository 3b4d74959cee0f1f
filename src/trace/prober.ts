/**
 * Probes of one VIP through the tunnel, and what comes back: from the VIP directly, as any client is answered, and from routers and
 * hosts on the way.
 *
 *   this node                                    backend
 *   [outer of the flow, GRE [node -> VIP]] ----> agent or tunnel, VIP, listener
 *   [VIP -> node] <----------------------------- directly
 *   [router -> node: ICMP error] <-- on the way
 *
 * The inner source is an address of this node, so that answers come here and no client is disturbed. A connection that a probe has half
 * opened is reset through the tunnel, also when no answer came back: the server may have answered all the same. The node's own kernel, which knows of none, answers with a RST that means nothing anywhere.
 */
import { randomInt } from 'node:crypto';
import { TRACE_ERRORS_MAX } from '../core/limits.js';
import { type IpAddress, parseAddress } from '../packet/address.js';
import type { Endpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';
import { type IcmpError, icmpErrorFilter, readIcmpError } from '../packet/icmp-error.js';
import { SocketFilter } from '../packet/socket-filter.js';
import { composeTcp, readTcp, type TcpSegment } from '../packet/tcp.js';
import { composeUdp } from '../packet/udp.js';
import type { RawSender, RawSockets } from '../underlay/raw-socket.js';
import { type Outer, wrapIn } from './outer.js';

/** Above Linux' range of ports for outgoing connections, as those of health checks (health/tunnel.ts). */
export const PORT_FIRST = 61_000;
const PORT_LAST = 65_535;
/** strerror(EMSGSIZE): the packet is larger than the interface's MTU. */
const TOO_LONG = 'Message too long';

export interface Probe {
  readonly outer: Outer;
  readonly vip: Endpoint;
  readonly protocol: 'tcp' | 'udp';
  /** Of a TCP segment: P.TCP_SYN, or P.TCP_ACK of no connection; SYN when not given. */
  readonly flags?: number;
  /** Zero bytes of payload. */
  readonly padding?: number;
  readonly ttl?: number;
  /** This source port; the next one when not given. */
  readonly port?: number;
  readonly waitMs: number;
  /** It is sent again after so long without an answer; not at all when not given. */
  readonly againMs?: number;
}

export type Reply =
  | {
      readonly kind: 'answer';
      /** Of TCP; 0 for a datagram. */
      readonly flags: number;
      /** Of IPv4 answers: raw IPv6 sockets do not show it. */
      readonly ttl: number | undefined;
      readonly ms: number;
    }
  | { readonly kind: 'silence' }
  /** The kernel here does not send it. */
  | { readonly kind: 'unsent'; readonly why: string; readonly isTooLong: boolean };

interface Pending {
  readonly vip: Endpoint;
  readonly protocol: number;
  /** A TCP answer acknowledges this, or has it as its sequence number. */
  readonly expected: number;
  readonly answered: (flags: number, ttl: number | undefined, segment: TcpSegment | undefined) => void;
}

export class Prober {
  readonly client: IpAddress;
  readonly #sockets: RawSockets;
  readonly #senders = new Map<string, RawSender>();
  readonly #receivers = new Map<string, { close(): void }>();
  readonly #pending = new Map<number, Pending>();
  readonly #errors: IcmpError[] = [];
  #port = randomInt(PORT_FIRST, PORT_LAST + 1);

  /** @param client the inner source: an address of this node, of the VIP's family */
  constructor(sockets: RawSockets, client: IpAddress) {
    this.#sockets = sockets;
    this.client = client;
  }

  nextPort(): number {
    this.#port = this.#port === PORT_LAST ? PORT_FIRST : this.#port + 1;
    return this.#port;
  }

  /** Sends a probe and waits for what the VIP answers. @throws AnyhopError ERR_CAPABILITY when the kernel refuses raw sockets */
  send(probe: Probe): Promise<Reply> {
    const { outer, vip, protocol, flags = P.TCP_SYN, padding = 0, ttl, waitMs, againMs } = probe;
    const source = { address: this.client, port: probe.port ?? this.nextPort() };
    const sender = this.#open(outer, protocol);
    const number = randomInt(2 ** 32);
    const isSyn = (flags & P.TCP_SYN) !== 0;
    const inner =
      protocol === 'udp'
        ? composeUdp(source, vip, padding)
        : composeTcp(
            source,
            vip,
            isSyn
              ? { sequence: number, acknowledgment: 0, flags }
              : { sequence: randomInt(2 ** 32), acknowledgment: number, flags },
            padding,
          );
    const packet = wrapIn(outer, inner, ttl);
    const { text } = outer.destination;
    return new Promise((resolve) => {
      const sentAt = performance.now();
      const timers: NodeJS.Timeout[] = [];
      const end = (reply: Reply): void => {
        for (const timer of timers) clearTimeout(timer);
        this.#pending.delete(source.port);
        resolve(reply);
      };
      const reset = (sequence: number): void => {
        const bytes = wrapIn(
          outer,
          composeTcp(source, vip, { sequence, acknowledgment: 0, flags: P.TCP_RST }),
        );
        sender.send(bytes, 0, bytes.length, text);
      };
      const refused = sender.send(packet, 0, packet.length, text);
      if (refused !== undefined) {
        end({ kind: 'unsent', why: refused, isTooLong: refused === TOO_LONG });
        return;
      }
      this.#pending.set(source.port, {
        vip,
        protocol: protocol === 'tcp' ? P.PROTOCOL_TCP : P.PROTOCOL_UDP,
        expected: isSyn ? (number + 1) >>> 0 : number,
        answered: (answer, ttl, segment) => {
          if (segment !== undefined && (answer & P.TCP_SYN) !== 0) reset(segment.acknowledgment);
          end({ kind: 'answer', flags: answer, ttl, ms: performance.now() - sentAt });
        },
      });
      timers.push(
        setTimeout(() => {
          if (protocol === 'tcp' && isSyn) reset((number + 1) >>> 0);
          end({ kind: 'silence' });
        }, waitMs),
      );
      if (againMs !== undefined)
        timers.push(setTimeout(() => sender.send(packet, 0, packet.length, text), againMs));
    });
  }

  /** Of the IP packet that a probe becomes, in bytes. */
  lengthOf({ outer, protocol, padding = 0 }: Pick<Probe, 'outer' | 'protocol' | 'padding'>): number {
    const ip = this.client.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER;
    return outer.header.length + ip + (protocol === 'tcp' ? P.TCP_HEADER : P.UDP_HEADER) + padding;
  }

  /** What routers and hosts said about packets to an address, since the start. */
  errorsAbout({ text }: IpAddress): IcmpError[] {
    return this.#errors.filter(({ quoted }) => quoted.destination.text === text);
  }

  close(): void {
    for (const socket of [...this.#senders.values(), ...this.#receivers.values()]) socket.close();
  }

  #open(outer: Outer, protocol: 'tcp' | 'udp'): RawSender {
    const { family } = this.client;
    const number = protocol === 'tcp' ? P.PROTOCOL_TCP : P.PROTOCOL_UDP;
    this.#listen(`${protocol}${family}`, family, number, answerFilter(family, protocol), (packet, from) =>
      this.#receive(number, packet, from),
    );
    for (const of of [family, outer.family])
      this.#listen(
        `icmp${of}`,
        of,
        of === 4 ? P.PROTOCOL_ICMP : P.PROTOCOL_ICMPV6,
        icmpErrorFilter(of),
        (packet, from) => this.#hear(of, packet, from),
      );
    let sender = this.#senders.get(outer.source.text);
    if (sender === undefined) {
      sender = this.#sockets.openSender(outer.family, outer.source);
      this.#senders.set(outer.source.text, sender);
    }
    return sender;
  }

  #listen(
    name: string,
    family: 4 | 6,
    protocol: number,
    filter: Buffer,
    take: (packet: Buffer, from: string) => void,
  ): void {
    if (!this.#receivers.has(name))
      this.#receivers.set(name, this.#sockets.openReceiver(family, protocol, filter, take));
  }

  #receive(protocol: number, packet: Buffer, from: string): void {
    const isIpv4 = this.client.family === 4;
    const at = isIpv4 ? (packet[0] & 15) * 4 : 0;
    if (packet.length < at + P.UDP_HEADER) return;
    const pending = this.#pending.get(packet.readUInt16BE(at + 2));
    if (pending?.protocol !== protocol || packet.readUInt16BE(at) !== pending.vip.port) return;
    if (parseAddress(from)?.text !== pending.vip.address.text) return;
    const ttl = isIpv4 ? packet[8] : undefined;
    if (protocol === P.PROTOCOL_UDP) {
      pending.answered(0, ttl, undefined);
      return;
    }
    const segment = readTcp(packet, at);
    if (segment === undefined) return;
    const { flags, acknowledgment, sequence } = segment;
    // RFC 9293 section 3.10.7.1: a RST for an ACK has the number that this one acknowledged.
    const number = (flags & P.TCP_ACK) !== 0 ? acknowledgment : sequence;
    if (number === pending.expected) pending.answered(flags, ttl, segment);
  }

  #hear(family: 4 | 6, packet: Buffer, from: string): void {
    const error = readIcmpError(family, packet, from);
    if (error === undefined) return;
    this.#errors.push(error);
    if (this.#errors.length > TRACE_ERRORS_MAX) this.#errors.shift();
  }
}

/** Everything that may answer a probe: what does not is sorted out by `#receive`. */
function answerFilter(family: 4 | 6, protocol: 'tcp' | 'udp'): Buffer {
  const filter = new SocketFilter().transportOf(family);
  if (protocol === 'tcp') filter.byteAt(13).mustHaveAnyBitOf(P.TCP_SYN | P.TCP_RST);
  return filter.halfAt(2).mustBeAtLeast(PORT_FIRST).build();
}
