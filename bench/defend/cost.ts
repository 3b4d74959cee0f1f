/**
 * What a packet costs under rules, by test runs. Rules are switched on and off in one loaded program, by publishing an image with them or
 * without, so that a difference says nothing about where a program lies in memory.
 */
import { FORWARD_PROGRAM, Forwarder } from '../../scripts/native/forwarder.js';
import { devObjectPath } from '../../scripts/native/object.js';
import type { System } from '../../scripts/native/systems.js';
import { median, report } from '../report.js';
import { type Contender, type Series, spread, type Traffic, type Turns } from '../xdp/harness.js';
import type { Load, Loads } from '../xdp/loads.js';
import { smallPackets, syns } from './packets.js';
import { flowsOnList, type SourceKind } from './prefixes.js';
import { imageWith, type RulesName, sizesWith } from './rules.js';

export const FAMILIES = [4, 6] as const;
/** Every packet has another source, as under a flood. */
const MANY = 1 << 20;
/** What a botnet has, or a busy site at one time. */
const SOME = 1 << 12;
const SOURCES = [
  [MANY, 'a million sources'],
  [SOME, '4,096 sources'],
] as const;

/** The forwarding program under rules, and how its packets must end. */
interface Ruled {
  readonly rules: RulesName;
  readonly traffic: Traffic;
  readonly verdict: string;
}

export class Cost {
  readonly #loads: Loads;
  readonly #turns: Turns;
  readonly #prefixes: number;

  /** @param prefixes of the lists that are in force */
  constructor(loads: Loads, turns: Turns, prefixes: number) {
    this.#loads = loads;
    this.#turns = turns;
    this.#prefixes = prefixes;
  }

  /** Without rules, beside a program that knows none. */
  off(): void {
    const others = this.#loads.all.map(() => new Forwarder(sizesWith(), devObjectPath('without-guard')));
    for (const other of others) other.publish(imageWith('none'));
    for (const family of FAMILIES) {
      const traffic = smallPackets(family, SOME);
      const [least, whole] = this.#compare(
        (load) => [
          {
            subject: { object: others[this.#loads.all.indexOf(load)].object, program: FORWARD_PROGRAM },
            traffic,
          },
        ],
        [{ rules: 'none', traffic, verdict: 'forwarded' }],
      );
      added(`IPv${family}, all off, over a program without it`, whole, least, 1);
    }
    for (const other of others) other.close();
  }

  /** Packets that pass. */
  passed(): void {
    for (const family of FAMILIES) {
      for (const [sources, name] of SOURCES) {
        const traffic = smallPackets(family, sources);
        const names = ['none', 'source', 'lists', 'both'] as const;
        const [none, source, lists, both] = this.#compare(
          () => [],
          names.map((rules) => ({ rules, traffic, verdict: 'forwarded' })),
        );
        const title = `IPv${family}, ${name}`;
        added(`${title}, source rate on, packet passes, over off`, source, none);
        added(`${title}, lists of a million prefixes on, packet passes, over off`, lists, none);
        added(`${title}, both on, packet passes both, over off`, both, none, 25);
      }
    }
  }

  /** Packets that a list drops, beside a program that only drops. */
  blocked(): void {
    const kinds: readonly [SourceKind, string, number][] = [
      ['network', 'a blocked network', 1.2],
      ['single', 'a single blocked address', 5],
    ];
    for (const family of FAMILIES) {
      for (const [kind, name, target] of kinds) {
        const sources = Math.min(SOME, flowsOnList(family, this.#prefixes));
        const traffic = smallPackets(family, sources, kind);
        const [dropped, subject] = this.#compare(
          ({ harness }) => [{ subject: harness.drop, traffic }],
          [{ rules: 'both', traffic, verdict: 'drop_blocked' }],
        );
        report({
          bench: `defend, IPv${family}, a packet of ${name}, over a program that only drops`,
          value: median(subject.ratios),
          unit: 'x',
          target,
          note: `ratio ${spread(subject.ratios, 2)}; ns: ${ns(subject)}, dropping alone ${ns(dropped)}; ${sources} sources`,
        });
      }
    }
  }

  /** SYNs that a cookie answers, beside a program that only sends them back. */
  answered(): void {
    for (const [family, target] of [
      [4, 100],
      [6, 115],
    ] as const) {
      for (const system of ['linux', 'windows', 'apple', 'bare'] as const) {
        this.#answered(family, system, system === 'linux' ? target : undefined);
      }
    }
  }

  #answered(family: 4 | 6, system: System, target: number | undefined): void {
    const traffic = syns(family, MANY, system);
    const [back, forwarded, answered, all] = this.#compare(
      ({ harness }) => [{ subject: harness.back, traffic }],
      [
        { rules: 'none', traffic, verdict: 'forwarded' },
        { rules: 'always', traffic, verdict: 'syn_cookie_answered' },
        { rules: 'all', traffic, verdict: 'syn_cookie_answered' },
      ],
    );
    const title = `IPv${family}, a SYN of ${system} answered`;
    added(`${title}, over the floor`, answered, back, target);
    if (target === undefined) return;
    added(`${title}, with lists and source rate, over the floor`, all, back);
    report({
      bench: `defend, ${title}, rate over that of forwarding it`,
      value: median(answered.ns.map((each, load) => forwarded.ns[load] / each)),
      unit: 'x',
      higherIsBetter: true,
      note: `ns: ${ns(answered)}, forwarded ${ns(forwarded)}, with the wrapper`,
    });
  }

  /** Cookies that wait for an attack. */
  idle(): void {
    for (const family of FAMILIES) {
      const traffic = smallPackets(family, SOME);
      const [none, auto] = this.#compare(
        () => [],
        (['none', 'auto'] as const).map((rules) => ({ rules, traffic, verdict: 'forwarded' })),
      );
      added(`IPv${family}, cookies auto and idle, over off`, auto, none, 3);
    }
  }

  /** Lets all take turns: what `others` gives first. */
  #compare(others: (load: Load) => readonly Contender[], ruled: readonly Ruled[]): Series[] {
    const before = this.#loads.verdicts();
    const series = this.#loads.compare(this.#turns, (load) => [
      ...others(load),
      ...ruled.map(({ rules, traffic }) => ({
        subject: load.subject,
        traffic,
        prepare: () => {
          load.forwarder.publish(imageWith(rules));
          load.forwarder.forgetSyns();
        },
      })),
    ]);
    const after = this.#loads.verdicts();
    const packets = this.#loads.all.length * (this.#turns.turns + 1) * this.#turns.packets;
    const expected = new Map<string, number>();
    for (const { verdict } of ruled) expected.set(verdict, (expected.get(verdict) ?? 0) + packets);
    for (const name of new Set([...Object.keys(after), ...expected.keys()])) {
      const counted = (after[name] ?? 0) - (before[name] ?? 0);
      if (counted !== (expected.get(name) ?? 0))
        throw new Error(`${counted} packets were ${name}, instead of ${expected.get(name) ?? 0}`);
    }
    return series;
  }
}

function ns(series: Series): string {
  return median(series.ns).toFixed(1);
}

function added(title: string, whole: Series, base: Series, target?: number): void {
  const more = whole.ns.map((each, load) => each - base.ns[load]);
  report({
    bench: `defend, ${title}`,
    value: median(more),
    unit: 'ns',
    target,
    note: `added ${spread(more, 1)}; ns: ${ns(whole)}, without ${ns(base)}`,
  });
}
