/**
 * Watches what the kernel makes of forwarding that goes on without a process: the program on the interface, the link, and next hops. Only
 * while nothing better is heard: it starts processes (`ip`) and asks neighbours.
 *
 *   ip monitor --> links, routes, neighbours (the node's own lookup, underlay/next-hops.ts) -->+--> facts --> the decision
 *   once a second: the program (one question by netlink, no process) ------------------------->+
 */
import { ANNOUNCE_LOOK_MS } from '../core/limits.js';
import type { Logger, LogLine } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { attachedXdp } from '../ffi/bpf.js';
import { type IpAddress, parseAddress } from '../packet/address.js';
import { formatMac } from '../packet/mac.js';
import type { Link } from '../underlay/link.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import { NextHops } from '../underlay/next-hops.js';
import type { RouteSources } from '../underlay/route.js';
import type { Forwarding } from './knowledge.js';
import { hopText, type KernelFacts } from './orphan-facts.js';

export interface OrphanWatchOptions {
  readonly forwarding: Forwarding;
  /** What packets are sent from, as far as the config says. */
  readonly sources: RouteSources;
  readonly log: Logger;
  /** Milliseconds of the clock that the facts are of. */
  readonly now: () => number;
  /** Called whenever facts may have changed, but not before the constructor has returned. */
  readonly changed: () => void;
}

export class OrphanWatch {
  readonly #options: OrphanWatchOptions;
  readonly #nextHops: NextHops;
  readonly #timer: NodeJS.Timeout;
  readonly #sinceMs: number;
  #program: KernelFacts['program'];
  #link: KernelFacts['link'];
  #isResolved = false;
  #complaint: string | undefined;

  constructor(options: OrphanWatchOptions) {
    this.#options = options;
    this.#sinceMs = options.now();
    this.#nextHops = new NextHops({
      sources: options.sources,
      log: quiet(options.log),
      withoutHop: 'an orphan sends nothing to',
    });
    this.#nextHops.onChange(() => options.changed());
    this.#nextHops.onLinks((links) => this.#sawLinks(links));
    this.look();
    this.#timer = setInterval(() => {
      this.look();
      options.changed();
    }, ANNOUNCE_LOOK_MS);
    void this.#resolve();
  }

  facts(): KernelFacts {
    return {
      sinceMs: this.#sinceMs,
      ...(this.#program && { program: this.#program }),
      ...(this.#link && { link: this.#link }),
      ...(this.#isResolved && { hops: this.#hops() }),
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#nextHops.close();
  }

  /** Which program is attached: it is looked at once a second, and now. */
  look(): void {
    const { now, forwarding } = this.#options;
    const before = this.#program;
    let id: number | undefined;
    try {
      id = attachedXdp(forwarding.engine.interface.index)?.id;
    } catch (error) {
      this.#complain(reasonOf(error)); // the interface is gone, say
    }
    if (before === undefined || before.id !== id)
      this.#program = { sinceMs: now(), ...(id !== undefined && { id }) };
  }

  async #resolve(): Promise<void> {
    const targets = addressesOf(this.#options.forwarding).map((address) => ({ name: address.text, address }));
    try {
      await this.#nextHops.resolve(targets);
      this.#isResolved = true;
    } catch (error) {
      this.#complain(reasonOf(error));
    }
    this.#options.changed();
  }

  #hops(): ReadonlyMap<string, string> {
    return new Map([...this.#nextHops.current()].map(([address, hop]) => [address, textOf(hop)]));
  }

  #sawLinks(links: ReadonlyMap<string, Link>): void {
    const { name, index } = this.#options.forwarding.engine.interface;
    const link = [...links.values()].find((each) => each.index === index);
    const fault = faultOf(name, link);
    this.#link = fault === undefined ? {} : { fault };
    this.#options.changed();
  }

  #complain(why: string): void {
    if (why === this.#complaint) return;
    this.#complaint = why;
    this.#options.log.warn({ event: 'orphan_unknown', why }, `whether the kernel still forwards: ${why}`);
  }
}

/** Next hops of an orphan change nothing but what is announced, which has lines of its own. */
function quiet(log: Logger): Logger {
  const debug: LogLine = (...line) => log.debug(...line);
  const warn: LogLine = (fields, text) =>
    (fields.event === 'no_next_hop' ? log.debug : log.warn).call(log, fields, text);
  return { debug, info: debug, warn, error: (...line) => log.error(...line) };
}

function addressesOf({ hops }: Forwarding): IpAddress[] {
  const texts = new Set(Object.values(hops).flatMap((each) => each.map(({ address }) => address)));
  return [...texts].map((text) => parseAddress(text)!);
}

function textOf(hop: NextHop | NoNextHop): string {
  if (hop.reason !== undefined) return '';
  return hopText(hop.interfaceIndex, formatMac(hop.destinationMac), hop.vlan);
}

function faultOf(name: string, link: Link | undefined): string | undefined {
  if (link === undefined) return `interface ${name} is gone`;
  if (!link.isUp) return `interface ${link.name} is down`;
  return link.hasCarrier ? undefined : `interface ${link.name} has no carrier`;
}
