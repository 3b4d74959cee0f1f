/**
 * Listens for routers' reports about GRE packets that are too big. The kernel filters the sockets; they are read ten times a second, a
 * bounded number of packets each time.
 */
import type { Logger } from '../core/log.js';
import { PacketSocket } from '../ffi/packet-socket.js';
import type { IpPrefix } from '../packet/address.js';
import { readTooBig, type TooBig, tooBigFilter } from '../packet/too-big.js';

const READ_INTERVAL_MS = 100;
/** Of each IP version in each interval. The kernel keeps some 300 more. */
const READ_MOST = 64;
/** What an IPv6 router sends at most (RFC 4443 section 2.4); IPv4 routers send less. */
const REPORT_BYTES = 1280;

export class PathErrors {
  readonly #sockets: { readonly source: IpPrefix; readonly socket: PacketSocket }[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #take: (reports: readonly TooBig[], lost: number) => void;
  readonly #log: Logger;
  #complaint = '';

  /**
   * Needs CAP_NET_RAW; without it nothing is heard, and the log says so.
   * @param sources that GRE is sent from
   * @param take gets what came in one interval, when something did; and how many reports the kernel dropped
   */
  constructor(
    sources: readonly IpPrefix[],
    take: (reports: readonly TooBig[], lost: number) => void,
    log: Logger,
  ) {
    this.#take = take;
    this.#log = log;
    for (const source of sources) {
      try {
        const socket = new PacketSocket(source.address.family, tooBigFilter(source), REPORT_BYTES, READ_MOST);
        this.#sockets.push({ source, socket });
      } catch (error) {
        this.#complain(`packets from ${source.text}`, error);
      }
    }
    this.#timer = setInterval(() => this.#read(), READ_INTERVAL_MS).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { socket } of this.#sockets) socket.close();
  }

  #read(): void {
    for (const { source, socket } of this.#sockets) {
      try {
        const packets = socket.read();
        if (packets.length === 0) continue;
        const reports = packets.flatMap((packet) => readTooBig(packet, source) ?? []);
        const lost = packets.length === READ_MOST ? socket.dropped() : 0;
        if (reports.length > 0 || lost > 0) this.#take(reports, lost);
      } catch (error) {
        this.#complain(`packets from ${source.text}`, error);
      }
    }
  }

  /** Once for each way of failing. */
  #complain(what: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    if (why === this.#complaint) return;
    this.#complaint = why;
    this.#log.warn(
      { event: 'path_mtu_unheard', why },
      `what routers say about ${what} that are too big cannot be heard: ${why}; a link on the path with a smaller MTU than ` +
        'the route says is a black hole for large packets',
    );
  }
}
