/**
 * Watches a probe of a forwarder for a few seconds at most, and tells what became of it here:
 *
 *   GRE --> the agent's program --> `in` --> the host's sockets --> `out` --> the forwarder, directly
 *               counters
 *
 * The packets of the probe's own flow are seen behind the program by packet sockets with filters in the kernel: what a filter lets through
 * was unwrapped for certain. What the program drops or sends on is told by a capture in it (probe-capture.ts); while something else is
 * captured, only by its counters, which count all packets.
 *
 * Only forwarders may ask, about services of the config; few probes at a time are watched, since a tap on what leaves costs the host a
 * little for each packet.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServiceConfig } from '../config/types.js';
import { PROBE_SEEN_MAX, PROBES_AT_ONCE } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { VERSION } from '../core/version.js';
import { PacketSocket } from '../ffi/packet-socket.js';
import type { IpAddress } from '../packet/address.js';
import { P } from '../packet/constants.js';
import { SocketFilter } from '../packet/socket-filter.js';
import { readLinks } from '../underlay/link.js';
import { localAmong } from '../underlay/local.js';
import {
  kindOfFlags,
  PROBE_PATH,
  type ProbeKind,
  type ProbeQuestion,
  type ProbeReport,
  readProbeQuestion,
  type SeenProbe,
} from './probe.js';
import type { ProbeCapture, ProbeRecords } from './probe-capture.js';
import { type SlowPath, send, type UnderlayQuestion } from './underlay-server.js';

const LOOK_MS = 20;
/** After the forwarder has all that it waits for: what it sends last is on its way. */
const AFTER_END_MS = 30;
/** Headers of one packet: IPv6, TCP with options. */
const KEPT_BYTES = 128;
const READ_MOST = 32;

export interface ProbeWatchOptions {
  readonly services: readonly ServiceConfig[];
  /** Packets by verdict, of the agent's program. */
  readonly verdicts: () => Readonly<Record<string, number>>;
  readonly capture: Pick<ProbeCapture, 'begin'>;
  readonly log: Logger;
}

export class ProbeWatch implements SlowPath {
  readonly path: string = PROBE_PATH;
  readonly #options: ProbeWatchOptions;
  #watched = 0;

  constructor(options: ProbeWatchOptions) {
    this.#options = options;
  }

  respond(
    { isForwarder, query }: UnderlayQuestion,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const question = readProbeQuestion(query);
    if (!isForwarder) send(response, 403, { error: 'only forwarders may ask about probes' });
    else if (question === undefined) send(response, 400, { error: 'this is no question about a probe' });
    else if (!this.#serves(question)) send(response, 404, { error: 'the config here has no such service' });
    else if (this.#watched === PROBES_AT_ONCE)
      send(response, 429, { error: 'other probes are being watched' });
    else {
      this.#watched++;
      void this.#watch(question, request, response).finally(() => {
        this.#watched--;
      });
    }
  }

  #serves({ protocol, vip: { address, port } }: ProbeQuestion): boolean {
    return this.#options.services.some(
      (each) =>
        each.protocol === protocol &&
        each.vip.text === address.text &&
        each.portFirst <= port &&
        port <= each.portLast,
    );
  }

  async #watch(question: ProbeQuestion, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isOver = overOf(request, response, question.waitMs);
    let tap: Tap | undefined;
    let records: ProbeRecords | undefined;
    let unseen: string | undefined;
    try {
      const [names, vipIsLocal] = await Promise.all([linkNames(), isLocal(question.vip.address)]);
      const before = this.#options.verdicts();
      try {
        tap = new Tap(question, names);
      } catch (error) {
        unseen = reasonOf(error); // without CAP_NET_RAW
      }
      records = await this.#options.capture.begin(question);
      response.writeHead(200, {
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
      });
      response.flushHeaders(); // from here on the forwarder sends
      await untilOver(isOver, () => tap?.read());
      const report: ProbeReport = {
        version: VERSION,
        seen: tap?.seen ?? null,
        ...(unseen !== undefined && { unseen }),
        fate: (await records?.fate()) ?? null,
        verdicts: more(this.#options.verdicts(), before),
        vipIsLocal,
      };
      response.end(`${JSON.stringify(report)}\n`);
    } catch (error) {
      this.#failed(error);
      response.destroy();
    } finally {
      tap?.close();
      await records?.end().catch((error: unknown) => this.#failed(error));
    }
  }

  #failed(error: unknown): void {
    this.#options.log.error({ event: 'report_failed' }, `a probe cannot be watched: ${reasonOf(error)}`);
  }
}

/** Verdicts that were counted since. */
function more(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  const counted = Object.entries(now).map(([name, count]) => [name, count - (before[name] ?? 0)] as const);
  return Object.fromEntries(counted.filter(([, count]) => count > 0));
}

async function linkNames(): Promise<ReadonlyMap<number, string>> {
  try {
    return new Map([...(await readLinks()).values()].map(({ index, name }) => [index, name]));
  } catch {
    return new Map(); // the answer then names no interface
  }
}

async function isLocal(vip: IpAddress): Promise<boolean | null> {
  try {
    return (await localAmong([vip])).has(vip.text);
  } catch {
    return null;
  }
}

/**
 * Whether a watch is over: the forwarder has ended its question, or gone, or the time has passed. A question without a body does not end
 * before its time.
 */
function overOf(request: IncomingMessage, response: ServerResponse, mostMs: number): () => boolean {
  const endsAt = performance.now() + mostMs;
  let endedAt = Number.POSITIVE_INFINITY;
  if (request.headers['transfer-encoding'] !== undefined)
    request.once('end', () => {
      endedAt = performance.now() + AFTER_END_MS;
    });
  request.resume();
  return () => performance.now() >= Math.min(endsAt, endedAt) || response.destroyed;
}

/** Looks again and again, and once more at the end. */
function untilOver(isOver: () => boolean, look: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const looking = setInterval(() => {
      try {
        const wasOver = isOver();
        look();
        if (!wasOver) return;
        resolve();
      } catch (error) {
        reject(error);
      }
      clearInterval(looking);
    }, LOOK_MS);
  });
}

/** The packets of one flow, in both directions. */
class Tap {
  readonly seen: SeenProbe[] = [];
  readonly #question: ProbeQuestion;
  readonly #names: ReadonlyMap<number, string>;
  readonly #in: PacketSocket;
  readonly #out: PacketSocket;

  /** @throws AnyhopError ERR_CAPABILITY without CAP_NET_RAW */
  constructor(question: ProbeQuestion, names: ReadonlyMap<number, string>) {
    this.#question = question;
    this.#names = names;
    const { family } = question.vip.address;
    this.#in = new PacketSocket(family, inFilter(question), KEPT_BYTES, READ_MOST);
    try {
      this.#out = new PacketSocket(family, outFilter(question), KEPT_BYTES, READ_MOST, { leaving: true });
    } catch (error) {
      this.#in.close();
      throw error;
    }
  }

  close(): void {
    this.#in.close();
    this.#out.close();
  }

  read(): void {
    for (const [direction, socket] of [
      ['in', this.#in],
      ['out', this.#out],
    ] as const) {
      for (const { index, packet } of socket.readSeen()) {
        const kind = kindOf(packet, this.#question, direction);
        const name = this.#names.get(index);
        if (kind !== undefined && this.seen.length < PROBE_SEEN_MAX)
          this.seen.push({ direction, kind, ...(name !== undefined && { interface: name }) });
      }
    }
  }
}

/** @param packet from its IP header on, between the addresses of the flow; undefined when its ports are others */
function kindOf(
  packet: Buffer,
  { protocol, client, vip }: ProbeQuestion,
  direction: 'in' | 'out',
): ProbeKind | undefined {
  const is4 = vip.address.family === 4;
  const at = is4 ? (packet[0] & 15) * 4 : P.IPV6_HEADER;
  const number = packet[is4 ? 9 : 6];
  if (packet.length < at + P.UDP_HEADER) return undefined;
  if (number === (is4 ? P.PROTOCOL_ICMP : P.PROTOCOL_ICMPV6))
    return packet[at] === (is4 ? P.ICMP_UNREACHABLE : P.ICMPV6_UNREACHABLE) ? 'unreachable' : undefined;
  const [from, to] = direction === 'in' ? [client, vip] : [vip, client];
  if (packet.readUInt16BE(at) !== from.port || packet.readUInt16BE(at + 2) !== to.port) return undefined;
  if (protocol === 'udp') return number === P.PROTOCOL_UDP ? 'datagram' : undefined;
  if (number !== P.PROTOCOL_TCP || packet.length < at + P.TCP_HEADER) return undefined;
  return kindOfFlags(packet[at + 13]);
}

/** From the client to the VIP, of this flow. */
function inFilter({ protocol, client, vip }: ProbeQuestion): Buffer {
  const is4 = vip.address.family === 4;
  const filter = addressed(new SocketFilter().transportOf(6), client.address, vip.address)
    .byteAt(is4 ? 9 : 6)
    .mustBe(protocol === 'tcp' ? P.PROTOCOL_TCP : P.PROTOCOL_UDP);
  const at = is4 ? 0 : P.IPV6_HEADER;
  if (is4) filter.transportOf(4);
  return filter
    .halfAt(at)
    .mustBe(client.port)
    .halfAt(at + 2)
    .mustBe(vip.port)
    .build();
}

/** From the VIP to the client, whatever it is: an ICMP error is an answer, too. */
function outFilter({ client, vip }: ProbeQuestion): Buffer {
  const { family } = vip.address;
  const filter = new SocketFilter().transportOf(6).byteAt(0).shiftedRight(4).mustBe(family);
  return addressed(filter, vip.address, client.address).build();
}

function addressed(filter: SocketFilter, source: IpAddress, destination: IpAddress): SocketFilter {
  let at = source.family === 4 ? 12 : 8;
  for (const { bytes } of [source, destination]) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0; i < bytes.length; i += 4) filter.wordAt(at + i).mustBe(view.getUint32(i));
    at += bytes.length;
  }
  return filter;
}
