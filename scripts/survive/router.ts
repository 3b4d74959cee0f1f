/**
 * What the router sees, by an nftables table of its own: which forwarder it sends each connection to (ECMP is the kernel's
 * secret, so the packets are asked), and how many packets backends send to each other, which are those of a second chance. Of
 * these, it tells by the index in the key which are on their way from the first alternate to the second. Nothing of it depends on
 * what anyhop counts.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { inNamespace, run } from '../lab/command.js';
import { VIP4, VIP6 } from '../lab/topology.js';
import type { FlowName } from './journal.js';

/** Longer than from one message of a connection to the next. */
const SEEN_MS = 1_000;
const FLOWS_MAX = 65_535;
const WATCH_INTERVAL_MS = 1_000;
/**
 * Offset and length in bits, as nft wants them: the index is the highest bits of the key, after four bytes of GRE. It stands before the
 * protocol in the rule: nft 1.0.6 aborts when it lists the two in the other order.
 */
const KEY_INDEX_BITS = '32,2';

/** Packets that backends have sent to each other so far. */
export interface HopCounts {
  readonly secondHops: number;
  /** Of these, those to the second alternate. */
  readonly thirdHops: number;
}

/** At a moment. */
export interface CountedPackets {
  readonly atMs: number;
  readonly packets: number;
}

export class RouterWitness {
  readonly #router: string;
  readonly #forwarders: readonly string[];

  private constructor(router: string, forwarders: readonly string[]) {
    this.#router = router;
    this.#forwarders = forwarders;
  }

  static async start(
    router: string,
    forwarders: readonly string[],
    backends: readonly string[],
  ): Promise<RouterWitness> {
    const sets = forwarders.flatMap((name) =>
      [4, 6].map(
        (family) =>
          `set ${name}.${family} { type ipv${family}_addr . inet_service; size ${FLOWS_MAX}; ` +
          `flags dynamic,timeout; timeout ${SEEN_MS}ms; }`,
      ),
    );
    const flows = forwarders.flatMap((name) => [
      `oifname "${name}" ip daddr ${VIP4} update @${name}.4 { ip saddr . tcp sport }`,
      `oifname "${name}" ip6 daddr ${VIP6} update @${name}.6 { ip6 saddr . tcp sport }`,
    ]);
    const ports = `{ ${backends.map((name) => `"${name}"`).join(', ')} }`;
    const table = `table inet survive {
counter second { }
counter third { }
${sets.join('\n')}
chain forward {
type filter hook forward priority filter; policy accept;
iifname ${ports} meta l4proto gre counter name second
iifname ${ports} @th,${KEY_INDEX_BITS} 2 meta l4proto gre counter name third
${flows.join('\n')}
}
}
`;
    await run(inNamespace(router, ['nft', '-f', '-']), { input: table });
    return new RouterWitness(router, forwarders);
  }

  /** GRE packets from backends. */
  async hops(): Promise<HopCounts> {
    const listed = await this.#list('counters', 'table', 'inet', 'survive');
    const packetsOf = (name: string): number =>
      listed.find(({ counter }) => counter?.name === name)!.counter!.packets;
    return { secondHops: packetsOf('second'), thirdHops: packetsOf('third') };
  }

  async flows(): Promise<Map<string, Set<FlowName>>> {
    const listed = await this.#list('table', 'inet', 'survive');
    const flows = new Map(this.#forwarders.map((name) => [name, new Set<FlowName>()]));
    for (const { set } of listed) {
      if (set?.elem === undefined) continue;
      const [forwarder, family] = set.name.split('.') as [string, '4' | '6'];
      for (const { elem } of set.elem)
        flows.get(forwarder)!.add(`${family} ${elem.val.concat[1]}` as FlowName);
    }
    return flows;
  }

  /** Counts second hops every second, until it is stopped. */
  watch(): SecondHopWatch {
    return new SecondHopWatch(this);
  }

  async #list(...what: string[]): Promise<NftObject[]> {
    return JSON.parse(await run(inNamespace(this.#router, ['nft', '-j', 'list', ...what]))).nftables;
  }
}

export class SecondHopWatch {
  readonly counted: CountedPackets[] = [];
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;

  constructor(witness: RouterWitness) {
    this.#ended = this.#count(witness);
    this.#ended.catch(() => {}); // stop() tells
  }

  /** Rejects when a count failed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  async #count(witness: RouterWitness): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const { secondHops: packets } = await witness.hops();
      this.counted.push({ packets, atMs: Date.now() });
      await delay(WATCH_INTERVAL_MS, undefined, { signal }).catch(() => {}); // it is to stop
    }
  }
}

/** As nft prints them. */
interface NftObject {
  readonly counter?: { readonly name: string; readonly packets: number };
  readonly set?: {
    readonly name: string;
    readonly elem?: readonly { readonly elem: { readonly val: { readonly concat: [string, number] } } }[];
  };
}
