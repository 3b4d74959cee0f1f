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
  /** By L.GUARDED_... */
  readonly counts: Float64Array;
  /** Packets forwarded. */
  readonly forwarded: number;
  /** Whether cookies answer now, or would in observe mode. */
  readonly cookies: boolean;
}

export class ServiceWatch {
  readonly norm: Norm;
  #last: Look;
  /** Of the wall clock. */
  #cookiesSinceMs: number | undefined;
  /** By L.GUARDED_..., a second. */
  rates = new Float64Array(L.GUARDED_KINDS);

  constructor(kept: KeptNorm | undefined, first: Look) {
    this.norm = new Norm(kept);
    this.#last = first;
  }

  /** SYNs a second. */
  get synRate(): number {
    return this.rates[L.GUARDED_SYNS];
  }

  get cookies(): boolean {
    return this.#last.cookies;
  }

  /** When cookies were turned on or off last, by the wall clock; undefined when they never were. */
  get cookiesSinceMs(): number | undefined {
    return this.#cookiesSinceMs;
  }

  /** @returns what came since the look before, by L.GUARDED_...; undefined when nothing can be said */
  take(look: Look): Float64Array | undefined {
    const last = this.#last;
    const ms = look.monotonicMs - last.monotonicMs;
    if (ms <= 0) return undefined;
    this.#last = look;
    if (look.cookies !== last.cookies) this.#cookiesSinceMs = look.wallMs;
    const came = look.counts.map((count, kind) => count - last.counts[kind]);
    // Another engine, or counters that were lost.
    if (came.some((count) => count < 0)) return undefined;
    const syns = came[L.GUARDED_SYNS];
    const stopped = came[L.GUARDED_COOKIES] + came[L.GUARDED_SERVICE_RATE] + came[L.GUARDED_SYN_LIMITED];
    const others = Math.max(look.forwarded - last.forwarded - (syns - stopped), 0);
    this.norm.take({ ms, syns, others, cookies: look.cookies });
    this.rates = came.map((count) => (count * 1000) / ms);
    return came;
  }

  /** What its rules have to say of what came. */
  *seen(service: string, rules: DefendRules, came: Float64Array): Generator<Seen> {
    for (const kind of KINDS) {
      const mode = modeOf(rules, kind);
      if (mode === undefined) continue;
      const counts = COUNTS[kind][mode];
      const packets = counts.reduce((sum, count) => sum + came[count], 0);
      if (kind === 'syn_flood') yield { service, kind, mode, packets, ...this.#flood() };
      else {
        const rate = counts.reduce((sum, count) => sum + this.rates[count], 0);
        yield { service, kind, mode, packets, rate, level: levelOf(rate, DROPS_MUCH, DROPS_SOME) };
      }
    }
  }

  #flood(): Pick<Seen, 'rate' | 'level' | 'context'> {
    const { perSecond, threshold } = this.norm;
    const level = levelOf(this.cookies ? this.synRate : 0, threshold, FLOOD_SOME * threshold);
    return { rate: this.synRate, level, context: `${short(Math.round(perSecond))} are usual` };
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
