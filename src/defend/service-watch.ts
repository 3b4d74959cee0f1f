/** What came to one service with rules, second by second: its rates, its norm, and what of its counts is an attack. */
import type { AttackKind } from '../api/defend.js';
import type { DefendRules } from '../config/defend/types.js';
import { short } from '../core/figures.js';
import { L } from '../core/layout.gen.js';
import type { Level, Seen } from './attacks.js';
import { type KeptNorm, Norm } from './norm.js';

/** Dropped packets a second that make an attack, and what keeps one on. */
const DROPS_MUCH = 100;
const DROPS_SOME = 25;
/** Of the threshold: with fewer SYNs a flood is over. */
const FLOOD_SOME = 0.5;

/** Whose counts are those of a kind. */
const COUNTS: Record<AttackKind, Record<'enforce' | 'observe', readonly number[]>> = {
  syn_flood: {
    enforce: [L.GUARDED_COOKIES, L.GUARDED_SYN_LIMITED],
    observe: [L.GUARDED_WOULD_COOKIE, L.GUARDED_WOULD_SYN_LIMIT],
  },
  service_rate: { enforce: [L.GUARDED_SERVICE_RATE], observe: [L.GUARDED_WOULD_SERVICE_RATE] },
  source_rate: { enforce: [L.GUARDED_SOURCE_RATE], observe: [L.GUARDED_WOULD_SOURCE_RATE] },
  blocked: { enforce: [L.GUARDED_BLOCKED], observe: [L.GUARDED_WOULD_BLOCK] },
};
const KINDS = Object.keys(COUNTS) as AttackKind[];

/** Counted so far, and when. */
export interface Look {
  /** Of a clock that only rises. */
  readonly monotonicMs: number;
  readonly wallMs: number;
  /** Of all services; those of this one begin at `first`, by L.GUARDED_... */
  readonly guarded: Float64Array;
  readonly first: number;
  /** Packets forwarded. */
  readonly forwarded: number;
  /** Whether cookies answer now, or would in observe mode. */
  readonly cookies: boolean;
}

/** Its arrays are used again with each look: thousands of services are looked at in one turn, each second. */
export class ServiceWatch {
  readonly norm: Norm;
  #lastMs: number;
  #forwarded: number;
  #cookies: boolean;
  /** Of the wall clock. */
  #cookiesSinceMs: number | undefined;
  readonly #counts = new Float64Array(L.GUARDED_KINDS);
  readonly #came = new Float64Array(L.GUARDED_KINDS);
  /** By L.GUARDED_..., a second. */
  readonly rates = new Float64Array(L.GUARDED_KINDS);

  constructor(kept: KeptNorm | undefined, { monotonicMs, guarded, first, forwarded, cookies }: Look) {
    this.norm = new Norm(kept);
    this.#lastMs = monotonicMs;
    this.#forwarded = forwarded;
    this.#cookies = cookies;
    for (let kind = 0; kind < L.GUARDED_KINDS; kind++) this.#counts[kind] = guarded[first + kind] ?? 0;
  }

  /** SYNs a second. */
  get synRate(): number {
    return this.rates[L.GUARDED_SYNS];
  }

  get cookies(): boolean {
    return this.#cookies;
  }

  /** When cookies were turned on or off last, by the wall clock; undefined when they never were. */
  get cookiesSinceMs(): number | undefined {
    return this.#cookiesSinceMs;
  }

  /** @returns what came since the look before, by L.GUARDED_...; undefined when nothing can be said */
  take({ monotonicMs, wallMs, guarded, first, forwarded, cookies }: Look): Float64Array | undefined {
    const ms = monotonicMs - this.#lastMs;
    if (ms <= 0) return undefined;
    const came = this.#came;
    let isLess = false;
    for (let kind = 0; kind < L.GUARDED_KINDS; kind++) {
      const count = guarded[first + kind] ?? 0;
      came[kind] = count - this.#counts[kind];
      if (came[kind] < 0) isLess = true;
      this.#counts[kind] = count;
    }
    const more = forwarded - this.#forwarded;
    if (cookies !== this.#cookies) this.#cookiesSinceMs = wallMs;
    this.#lastMs = monotonicMs;
    this.#forwarded = forwarded;
    this.#cookies = cookies;
    // Another engine, or counters that were lost.
    if (isLess) return undefined;
    const syns = came[L.GUARDED_SYNS];
    const stopped = came[L.GUARDED_COOKIES] + came[L.GUARDED_SERVICE_RATE] + came[L.GUARDED_SYN_LIMITED];
    this.norm.take({ ms, syns, others: Math.max(more - (syns - stopped), 0), cookies });
    for (let kind = 0; kind < L.GUARDED_KINDS; kind++) this.rates[kind] = (came[kind] * 1000) / ms;
    return came;
  }

  /** What its rules have to say of what came. */
  *seen(service: string, rules: DefendRules, came: Float64Array): Generator<Seen> {
    for (const kind of KINDS) {
      const mode = modeOf(rules, kind);
      if (mode === undefined) continue;
      const counts = COUNTS[kind][mode];
      let packets = 0;
      for (const count of counts) packets += came[count];
      if (kind === 'syn_flood') yield { service, kind, mode, packets, ...this.#flood() };
      else {
        let rate = 0;
        for (const count of counts) rate += this.rates[count];
        yield { service, kind, mode, packets, rate, level: levelOf(rate, DROPS_MUCH, DROPS_SOME) };
      }
    }
  }

  #flood(): Pick<Seen, 'rate' | 'level' | 'context'> {
    const { perSecond, threshold } = this.norm;
    const level = levelOf(this.cookies ? this.synRate : 0, threshold, FLOOD_SOME * threshold);
    return { rate: this.synRate, level, context: () => `${short(Math.round(perSecond))} are usual` };
  }
}

/** Undefined without such a rule. */
export function modeOf(rules: DefendRules | undefined, kind: AttackKind): 'enforce' | 'observe' | undefined {
  switch (kind) {
    case 'syn_flood':
      return rules?.synCookies?.mode;
    case 'service_rate':
      return rules?.serviceRate?.mode;
    case 'source_rate':
      return rules?.sourceRate?.mode;
    case 'blocked':
      return rules === undefined || rules.lists === 'off' ? undefined : rules.lists;
  }
}

function levelOf(rate: number, much: number, some: number): Level {
  if (rate >= much) return 'much';
  return rate >= some ? 'some' : 'little';
}
