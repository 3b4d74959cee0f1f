/**
 * The sockets of kind `tunnel`: TCP segments for VIPs, wrapped in GRE for one backend, and what VIPs answer.
 *
 *   this node                                        backend
 *   SYN  [node -> backend GRE [client -> VIP]] ------> tunnel, VIP, listener
 *   SYN-ACK or RST       [VIP -> client] <------------ directly, as to any client
 *   RST  [node -> backend GRE [client -> VIP]] ------> the half-open connection is gone
 *
 * The client is this node, by an address of its own and a port that no socket here has. A raw socket gets a copy of every
 * TCP packet for this host, and an answer is known by its port and its acknowledgment: one above the SYN's sequence number, which
 * is random, so that nobody who cannot see the SYN can forge one.
 *
 * Anybody can send this host more TCP packets than a process can read. Therefore the sequence numbers of all SYNs begin with the same
 * secret bits, by which the kernel knows an answer (answer-filter.ts): of a flood of SYN-ACKs that look like a VIP's, one in
 * 4096 gets through, and nothing of any other flood.
 *
 * The kernel here knows of no such connection and answers with a RST of its own. That one takes the route to the VIP, which
 * leads to whatever backend has the flow's slot, where it means nothing; so the RST that ends the connection, at the backend
 * that has it, is sent from here through the tunnel.
 */
import { randomInt } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { AnyhopError } from '../core/errors.js';
import { type IpAddress, parseAddress, prefixContains } from '../packet/address.js';
import type { Endpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';
import { composeTcp, readTcp, type TcpSegment } from '../packet/tcp.js';
import { loadRawSockets, type RawSender, type RawSockets } from '../underlay/raw-socket.js';
import { answerFilter, isAnswer, NUMBER_BITS, SECRET_BITS } from './answer-filter.js';
import { type TunnelPath, wrap } from './tunnel-packet.js';

export interface TunnelOptions extends Omit<TunnelPath, 'backend'> {
  /** The node's interface: an address of its own is a client's, unless one of the outer sources is. */
  readonly interface: string;
  /** Whether a VIP is an address of this host: its kernel drops what comes from there, so no answer is ever seen. */
  readonly isLocal: (vip: IpAddress) => boolean;
}

/** Takes the answer to a SYN. */
export type Answered = (segment: TcpSegment) => void;

/** Above Linux' range of ports for outgoing connections (ip_local_port_range), so that no real one has the same. */
const PORT_FIRST = 61_000;
const PORT_LAST = 65_535;

interface Attempt {
  readonly source: Endpoint;
  readonly vip: Endpoint;
  readonly answered: Answered;
}

export class Tunnel {
  readonly #sockets: RawSockets;
  readonly #options: TunnelOptions;
  readonly #clientOf: (family: 4 | 6) => IpAddress;
  readonly #clients = new Map<4 | 6, IpAddress>();
  readonly #senders = new Map<4 | 6, RawSender>();
  readonly #receivers = new Map<4 | 6, { close(): void }>();
  /** By what an answer has: see keyOf. */
  readonly #attempts = new Map<number, Attempt>();
  readonly #secret = randomInt(0, 2 ** SECRET_BITS);
  #port = randomInt(PORT_FIRST, PORT_LAST + 1);

  /** @param clientOf an address of this node */
  constructor(
    sockets: RawSockets,
    options: TunnelOptions,
    clientOf = (family: 4 | 6): IpAddress => clientAddress(family, options),
  ) {
    this.#sockets = sockets;
    this.#options = options;
    this.#clientOf = clientOf;
  }

  /** @throws AnyhopError ERR_NATIVE when npm raw-socket cannot be loaded */
  static async open(options: TunnelOptions): Promise<Tunnel> {
    return new Tunnel(await loadRawSockets('health checks of kind tunnel need'), options);
  }

  /**
   * Makes sure that a backend can be sent to and a VIP can answer.
   * @returns the address of this node that is the VIP's client
   * @throws AnyhopError ERR_ADDRESS when it has none of the VIP's family; ERR_CAPABILITY when sockets are refused
   */
  prepare(backend: IpAddress, vip: IpAddress): IpAddress {
    const client = this.#clients.get(vip.family) ?? this.#clientOf(vip.family);
    this.#clients.set(vip.family, client);
    if (!this.#senders.has(backend.family))
      this.#senders.set(
        backend.family,
        this.#sockets.openSender(
          backend.family,
          backend.family === 4 ? this.#options.source4?.address : this.#options.source6?.address,
        ),
      );
    if (!this.#receivers.has(vip.family)) {
      const { family } = vip;
      const take = (packet: Buffer, source: string): void => this.#receive(family, packet, source);
      const filter = answerFilter(family, PORT_FIRST, this.#secret);
      this.#receivers.set(family, this.#sockets.openReceiver(family, P.PROTOCOL_TCP, filter, take));
    }
    return client;
  }

  /** Why an answer of this VIP could not be seen, whatever the backend does; undefined when it could. */
  deafness(vip: IpAddress): string | undefined {
    const { family, text } = vip;
    // Over IPv6, Linux takes packets from an address of its own.
    if (family === 6 || !this.#options.isLocal(vip)) return undefined;
    return `${text} is an address of this host, whose kernel drops packets from there (ip route get ${text})`;
  }

  /** A source port; the same one comes again after 4536 others. */
  nextPort(): number {
    this.#port = this.#port === PORT_LAST ? PORT_FIRST : this.#port + 1;
    return this.#port;
  }

  /**
   * Sends a SYN to a VIP by way of a backend.
   * @param answered is called with each SYN-ACK or RST that answers it, until it is forgotten
   * @returns its sequence number, or why it could not be sent
   */
  connect(backend: IpAddress, source: Endpoint, vip: Endpoint, answered: Answered): number | string {
    const sequence = this.#secret * 2 ** NUMBER_BITS + randomInt(0, 2 ** NUMBER_BITS);
    const failure = this.#send(backend, source, vip, { sequence, acknowledgment: 0, flags: P.TCP_SYN });
    if (failure !== undefined) return failure;
    this.#attempts.set(keyOf(source.port, sequence + 1), { source, vip, answered });
    return sequence;
  }

  /** Ends what a SYN-ACK has begun. A RST that is lost does no harm: the backend gives up by itself. */
  reset(backend: IpAddress, source: Endpoint, vip: Endpoint, { acknowledgment }: TcpSegment): void {
    this.#send(backend, source, vip, { sequence: acknowledgment, acknowledgment: 0, flags: P.TCP_RST });
  }

  /** No more answers to the SYN from this port, of this sequence number, are of interest. */
  forget(port: number, sequence: number): void {
    this.#attempts.delete(keyOf(port, sequence + 1));
  }

  close(): void {
    for (const socket of [...this.#senders.values(), ...this.#receivers.values()]) socket.close();
    this.#attempts.clear();
  }

  #send(
    backend: IpAddress,
    source: Endpoint,
    vip: Endpoint,
    segment: Omit<TcpSegment, 'sourcePort' | 'destinationPort'>,
  ): string | undefined {
    // By the port, as a client's flows are: every packet of one goes the same way.
    const entropy = Math.imul(source.port, 0x9e3779b1) >>> 0;
    const packet = wrap({ ...this.#options, backend }, composeTcp(source, vip, segment), entropy);
    return this.#senders.get(backend.family)!.send(packet, 0, packet.length, backend.text);
  }

  /** What the filter lets through. */
  #receive(family: 4 | 6, packet: Buffer, sender: string): void {
    const segment = readTcp(packet, family === 4 ? (packet[0] & 0x0f) * 4 : 0);
    if (segment === undefined || !isAnswer(segment)) return;
    const attempt = this.#attempts.get(keyOf(segment.destinationPort, segment.acknowledgment));
    if (attempt === undefined) return;
    const { vip, answered } = attempt;
    const isFromVip = segment.sourcePort === vip.port && parseAddress(sender)?.text === vip.address.text;
    if (isFromVip) answered(segment);
  }
}

/** Of the port that an answer goes to and the number that it acknowledges. */
function keyOf(port: number, acknowledgment: number): number {
  return port * 2 ** 32 + (acknowledgment >>> 0);
}

/**
 * An address that this host has, for VIPs to answer to: in the range of an outer source, or else on the interface.
 * @param user what needs it, as an error begins
 * @throws AnyhopError ERR_ADDRESS when there is none
 */
export function clientAddress(
  family: 4 | 6,
  { source4, source6, interface: name }: Pick<TunnelOptions, 'source4' | 'source6' | 'interface'>,
  user = 'health checks through the tunnel need',
): IpAddress {
  const source = family === 4 ? source4 : source6;
  const own = Object.entries(networkInterfaces()).flatMap(([on, addresses = []]) =>
    addresses.flatMap(({ address, internal, scopeid }) => {
      const parsed = internal || scopeid ? undefined : parseAddress(address);
      return parsed?.family === family ? { on, address: parsed } : [];
    }),
  );
  const found =
    own.find(({ address }) => source !== undefined && prefixContains(source, address)) ??
    own.find(({ on }) => on === name);
  if (found !== undefined) return found.address;
  throw new AnyhopError('ERR_ADDRESS', `${user} an IPv${family} address on ${name}`, {
    hint: `VIPs answer to it, as to a client: give ${name} an IPv${family} address that backends reach, or choose another kind of check.`,
  });
}
