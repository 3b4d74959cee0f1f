/**
 * Path MTUs below the routes' own, learned from routers' reports (path-errors.ts): one for each far end, forgotten after ten minutes
 * (RFC 8201 section 4) or with the next hop.
 *
 * Anybody who knows two addresses can forge a report, so reports are believed within limits:
 *  - The report is about a far end that packets are sent to, and a packet no longer than the route's MTU and longer than the reported one.
 *  - A value below the caller's minimum for the far end is raised to that minimum, counted and logged.
 *  - A report only makes a path narrower. It becomes wider when the value is forgotten.
 */
import { listed } from '../core/listed.js';
import type { Logger } from '../core/log.js';
import type { LogEventName } from '../core/log-events.js';
import { formatDuration } from '../core/time.js';
import type { TooBig } from '../packet/too-big.js';

/** RFC 1191 section 6.3, RFC 8201 section 4: ten minutes is what both advise. */
export const PATH_MTU_LIFETIME_MS = 600_000;
/** A report goes into the log again for the same far end after so long. */
const LOG_AGAIN_MS = 60_000;

export interface LearnedMtu {
  /** In bytes at layer 3. */
  readonly mtu: number;
  /** The router that said so. */
  readonly router: string;
  /** Milliseconds since 1970. */
  readonly untilMs: number;
}

/** Reports that taught nothing, by why. */
export interface PathReportCounts {
  /** Raised to the least that is believed. */
  raised: number;
  /** The router did not say what fits. */
  withoutSize: number;
  /** About no packet that is sent: another far end, or a length that does not occur. */
  unrelated: number;
  /** More than could be read. */
  lost: number;
}

export interface PathMtusOptions {
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** What the route to an address takes, by its text; undefined for an address that nothing is sent to. */
  readonly routeMtu: (address: string) => number | undefined;
  /** The least that is believed about an address. */
  readonly leastMtu: (address: string) => number;
  /** Who has an address, for the log: `pool/backend`. */
  readonly names: (address: string) => readonly string[];
  /** What a smaller MTU means, for the log: `clients are told what fits`. */
  readonly meaning: string;
  /** Called when a path has become narrower or wider, with the addresses. */
  readonly changed: (addresses: readonly string[]) => void;
}

interface Entry extends LearnedMtu {
  readonly loggedMs: number;
}

export class PathMtus {
  readonly #options: PathMtusOptions;
  readonly #learned = new Map<string, Entry>();
  readonly #said = new Map<string, number>();
  readonly counts: PathReportCounts = { raised: 0, withoutSize: 0, unrelated: 0, lost: 0 };

  constructor(options: PathMtusOptions) {
    this.#options = options;
  }

  /** What is sent at most, in bytes: what the route says, or less. */
  mtuOf(address: string, routeMtu: number): number {
    const learned = this.#learned.get(address);
    if (learned === undefined) return routeMtu;
    return Math.min(routeMtu, Math.max(learned.mtu, this.#options.leastMtu(address)));
  }

  /** What has been learned about an address; undefined when the route's MTU holds. */
  learned(address: string): LearnedMtu | undefined {
    return this.#learned.get(address);
  }

  /** Takes reports, at most some hundred at a time; what has outlived its time is forgotten first. */
  take(reports: readonly TooBig[], lost = 0): void {
    const { changed } = this.#options;
    this.counts.lost += lost;
    const narrower = new Set<string>();
    for (const report of reports) if (this.#takeOne(report)) narrower.add(report.backend.text);
    if (narrower.size > 0) {
      changed([...narrower]);
      this.#tell([...narrower]);
    }
  }

  /** Forgets what is too old: to be called every few seconds. */
  expire(): void {
    const { now, changed, log } = this.#options;
    const wider = [...this.#learned].flatMap(([address, { untilMs }]) => (untilMs <= now() ? [address] : []));
    if (wider.length === 0) return;
    for (const address of wider) this.#learned.delete(address);
    changed(wider);
    log.info(
      { event: 'path_mtu_expired', backends: wider },
      `the path MTU of ${this.#listed(wider)} is forgotten after ${formatDuration(PATH_MTU_LIFETIME_MS)}, and tried anew`,
    );
  }

  /** The path to these addresses is another one: nothing is known about it, nor about those that nothing is sent to any more. */
  forget(addresses: readonly string[]): void {
    for (const address of addresses) this.#learned.delete(address);
    for (const known of [this.#learned, this.#said])
      for (const address of known.keys())
        if (this.#options.routeMtu(address) === undefined) known.delete(address);
  }

  /** @returns whether the path has become narrower */
  #takeOne({ backend, router, length, mtu }: TooBig): boolean {
    const { now, routeMtu, leastMtu } = this.#options;
    const address = backend.text;
    const route = routeMtu(address);
    if (route === undefined || length > route || (mtu !== 0 && mtu >= length)) {
      this.counts.unrelated++;
      return false;
    }
    if (mtu === 0) {
      this.counts.withoutSize++;
      const message = `router ${router.text} drops packets of ${length} bytes to ${this.#listed([address])} and does not say what fits`;
      this.#warn(address, 'path_mtu_without_size', `${message}: lower the MTU of the route to it`);
      return false;
    }
    const least = leastMtu(address);
    if (mtu < least) {
      this.counts.raised++;
      const message = `router ${router.text} says that ${mtu} bytes fit on the path to ${this.#listed([address])}`;
      this.#warn(
        address,
        'path_mtu_raised',
        `${message}: no less than ${Math.min(least, route)} is believed; if it is true, no large packet arrives there`,
      );
    }
    const value = Math.max(mtu, least);
    const before = this.#learned.get(address);
    if (value >= route || (before !== undefined && value > before.mtu)) return false;
    const untilMs = now() + PATH_MTU_LIFETIME_MS;
    this.#learned.set(address, {
      mtu: value,
      router: router.text,
      untilMs,
      loggedMs: before?.loggedMs ?? Number.NEGATIVE_INFINITY,
    });
    return value !== before?.mtu;
  }

  #tell(addresses: readonly string[]): void {
    const nowMs = this.#options.now();
    const due = addresses.filter((address) => nowMs - this.#learned.get(address)!.loggedMs >= LOG_AGAIN_MS);
    if (due.length === 0) return;
    for (const address of due)
      this.#learned.set(address, { ...this.#learned.get(address)!, loggedMs: nowMs });
    const { mtu, router } = this.#learned.get(due[0])!;
    const same = due.filter((address) => this.#learned.get(address)!.mtu === mtu);
    const others = due.length - same.length;
    this.#options.log.warn(
      { event: 'path_mtu', backends: due, mtu, router },
      `the path to ${this.#listed(same)} takes packets of ${mtu} bytes at most, says router ${router}` +
        `${others === 0 ? '' : ` (and those to ${others} more take less than their routes say, too)`}: ${this.#options.meaning}`,
    );
  }

  /** Once in a while for each far end. */
  #warn(address: string, event: LogEventName, message: string): void {
    const nowMs = this.#options.now();
    if (nowMs - (this.#said.get(address) ?? Number.NEGATIVE_INFINITY) < LOG_AGAIN_MS) return;
    this.#said.set(address, nowMs); // as many as there are far ends
    this.#options.log.warn({ event, backend: address }, message);
  }

  #listed(addresses: readonly string[]): string {
    const text = (address: string): string => {
      const [first] = this.#options.names(address);
      return first === undefined ? address : `${first} (${address})`;
    };
    return listed(addresses, { text });
  }
}
