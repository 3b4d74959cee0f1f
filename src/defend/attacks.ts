/**
 * When an attack begins and when it ends, by service and kind: once each, however it rises and falls in between.
 *
 *          enough of it for BEGINS_MS             too little of it for ENDS_MS
 *   quiet -------------------------> under attack -----------------------------> ended, remembered for KEPT_MS
 */
import type { AttackKind, AttackStatus } from '../api/defend.js';
import { amount, short } from '../core/figures.js';
import { ATTACKS_KEPT_MAX } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { formatDuration } from '../core/time.js';

const BEGINS_MS = 2_000;
const ENDS_MS = 30_000;
const KEPT_MS = 3_600_000;

/** `much` makes an attack, `some` keeps it on. */
export type Level = 'much' | 'some' | 'little';

/** What is said of one service and kind after some time, about a second. */
export interface Seen {
  readonly service: string;
  readonly kind: AttackKind;
  readonly mode: 'observe' | 'enforce';
  readonly level: Level;
  /** Packets of the kind a second; of a `syn_flood`, SYNs. */
  readonly rate: number;
  /** Dropped or answered since it was seen last; in observe mode those that would have been. */
  readonly packets: number;
  /** What else belongs into the line of its begin: the norm, say. */
  readonly context?: () => string;
}

/** One that lasts, as it is kept across a restart. Times are of the wall clock. */
export interface KeptAttack {
  readonly service: string;
  readonly kind: AttackKind;
  readonly mode: 'observe' | 'enforce';
  readonly sinceMs: number;
  readonly peak: number;
  readonly packets: number;
}

interface Attack {
  readonly service: string;
  readonly kind: AttackKind;
  mode: 'observe' | 'enforce';
  sinceMs: number;
  /** When there was much of it last. */
  lastMs: number;
  rate: number;
  peak: number;
  packets: number;
  /** Its rule has changed its mode meanwhile: some of its packets were only counted. */
  isMixed: boolean;
  hasBegun: boolean;
}

const WHAT: Record<
  AttackKind,
  { readonly name: string; readonly unit: string; readonly did: string; readonly would: string }
> = {
  syn_flood: {
    name: 'SYN flood',
    unit: 'SYN',
    did: 'answered with cookies or dropped',
    would: 'would have been answered with cookies or dropped',
  },
  service_rate: {
    name: 'more SYNs than service_rate',
    unit: 'SYN',
    did: 'dropped',
    would: 'would have been dropped',
  },
  source_rate: {
    name: 'sources above source_rate',
    unit: 'packet',
    did: 'dropped',
    would: 'would have been dropped',
  },
  blocked: { name: 'blocked sources', unit: 'packet', did: 'dropped', would: 'would have been dropped' },
};

export class Attacks {
  readonly #log: Logger;
  /** By service and kind: those that last, and what may become one. */
  readonly #open = new Map<string, Attack>();
  /** The newest last. */
  #ended: (AttackStatus & { readonly untilMs: number })[] = [];
  #isNews = false;

  constructor(log: Logger, kept: readonly KeptAttack[], nowMs: number) {
    this.#log = log;
    for (const each of kept)
      this.#open.set(keyOf(each), { ...each, lastMs: nowMs, rate: 0, isMixed: false, hasBegun: true });
  }

  /** @param nowMs of the wall clock */
  take(seen: Seen, nowMs: number): void {
    const { level, rate, packets, mode } = seen;
    const isMuch = level === 'much';
    if (!isMuch && this.#open.size === 0) return; // of thousands of services, each second
    const key = keyOf(seen);
    let attack = this.#open.get(key);
    if (attack === undefined) {
      if (!isMuch) return;
      const { service, kind } = seen;
      attack = {
        service,
        kind,
        mode,
        sinceMs: nowMs,
        lastMs: nowMs,
        rate,
        peak: 0,
        packets: 0,
        isMixed: false,
        hasBegun: false,
      };
      this.#open.set(key, attack);
    }
    attack.rate = rate;
    attack.isMixed ||= attack.mode !== mode;
    attack.mode = mode;
    attack.packets += packets;
    attack.peak = Math.max(attack.peak, rate);
    if (level !== 'little') attack.lastMs = nowMs;
    // A clock that was set must neither end it nor keep it for good.
    attack.sinceMs = Math.min(attack.sinceMs, nowMs);
    attack.lastMs = Math.min(attack.lastMs, nowMs);
    if (!attack.hasBegun && !isMuch) this.#open.delete(key);
    else if (!attack.hasBegun && nowMs - attack.sinceMs >= BEGINS_MS) this.#begin(attack, seen.context);
    else if (attack.hasBegun && nowMs - attack.lastMs >= ENDS_MS) this.#end(key, attack);
  }

  /** The rules of a service and kind are gone. */
  keep(isThere: (service: string, kind: AttackKind) => boolean): void {
    for (const [key, attack] of this.#open) {
      if (isThere(attack.service, attack.kind)) continue;
      if (attack.hasBegun) this.#end(key, attack);
      else this.#open.delete(key);
    }
  }

  /** Those that last, and then those that ended, the newest first. */
  status(nowMs: number): AttackStatus[] {
    this.#ended = this.#ended.filter(({ untilMs }) => nowMs - untilMs < KEPT_MS);
    const last = [...this.#open.values()].filter(({ hasBegun }) => hasBegun);
    return [
      ...last.sort((a, b) => b.sinceMs - a.sinceMs).map((attack) => statusOf(attack)),
      ...this.#ended.toReversed().map(({ untilMs: _, ...status }) => status),
    ];
  }

  get kept(): KeptAttack[] {
    return [...this.#open.values()].flatMap(({ hasBegun, service, kind, mode, sinceMs, peak, packets }) =>
      hasBegun ? { service, kind, mode, sinceMs, peak, packets } : [],
    );
  }

  /** Whether one has begun or ended since this was asked last. */
  takeNews(): boolean {
    const isNews = this.#isNews;
    this.#isNews = false;
    return isNews;
  }

  #begin(attack: Attack, context: (() => string) | undefined): void {
    attack.hasBegun = true;
    this.#isNews = true;
    const { service, kind, mode, peak } = attack;
    const { name, unit } = WHAT[kind];
    const only = mode === 'observe' ? '; observed only' : '';
    this.#log.warn(
      { event: 'attack_begins', service, kind, mode, peak: Math.round(peak) },
      `service ${service}: attack begins: ${name}, ${rateText(peak, unit)}${context === undefined ? '' : `, ${context()}`}${only}`,
    );
  }

  #end(key: string, attack: Attack): void {
    this.#open.delete(key);
    this.#isNews = true;
    const { service, kind, mode, sinceMs, lastMs, peak, packets, isMixed } = attack;
    const { name, unit, did, would } = WHAT[kind];
    const seconds = Math.max(1, Math.round((lastMs - sinceMs) / 1000));
    this.#log.info(
      { event: 'attack_ends', service, kind, mode, peak: Math.round(peak), packets, seconds },
      `service ${service}: attack has ended after ${formatDuration(seconds * 1000)}: ${name}, ${rateText(peak, unit)} at most, ` +
        `${short(packets)} packets ${isMixed ? `${did}, or only counted while the rule was in mode observe` : mode === 'enforce' ? did : would}`,
    );
    this.#ended.push({
      ...statusOf(attack),
      rate: 0,
      until: new Date(lastMs).toISOString(),
      untilMs: lastMs,
    });
    if (this.#ended.length > ATTACKS_KEPT_MAX) this.#ended.shift();
  }
}

function keyOf({ service, kind }: Pick<Attack, 'service' | 'kind'>): string {
  return `${kind} ${service}`;
}

function statusOf({ service, kind, mode, sinceMs, peak, rate, packets }: Attack): AttackStatus {
  return { service, kind, mode, since: new Date(sinceMs).toISOString(), peak, rate, packets };
}

function rateText(rate: number, unit: string): string {
  return rate < 1000 ? `${amount(Math.round(rate), unit)} a second` : `${short(rate)} ${unit}s a second`;
}
