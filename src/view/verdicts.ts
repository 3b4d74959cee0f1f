/** Verdicts over all nodes: what became of packets, and what each outcome means. */
import type { VerdictStatus } from '../api/status.js';
import { VERDICTS } from '../core/layout.gen.js';
import { gathered } from './gather.js';
import type { Source } from './seen.js';

export type Action = 'forward' | 'answer' | 'pass' | 'drop';

export interface VerdictRow extends VerdictStatus {
  readonly name: string;
  readonly action: Action;
  readonly meaning: string;
  /** 0 to 1, of the packets a second of all verdicts; 0 while nothing arrives. */
  readonly share: number;
  /** The same of all packets so far. */
  readonly shareOfAll: number;
}

/** Packets a second by what is done with them. */
export type ActionRates = Readonly<Record<Action, number>>;

const KNOWN = new Map(VERDICTS.map((verdict) => [verdict.name, verdict]));

export function verdictRows(sources: readonly Source[]): VerdictRow[] {
  const all = gathered(sources, ({ status }) => Object.entries(status.verdicts));
  const sums = [...all].map(([name, seen]) => ({
    name,
    packets: seen.reduce((total, { thing }) => total + thing.packets, 0),
    packetsPerSecond: seen.reduce((total, { thing }) => total + thing.packetsPerSecond, 0),
  }));
  const packets = sums.reduce((total, one) => total + one.packets, 0);
  const packetsPerSecond = sums.reduce((total, one) => total + one.packetsPerSecond, 0);
  return sums.map((one) => ({
    ...one,
    action: actionOf(one.name),
    meaning: KNOWN.get(one.name)?.description ?? 'a verdict of another version of anyhop',
    share: packetsPerSecond > 0 ? one.packetsPerSecond / packetsPerSecond : 0,
    shareOfAll: packets > 0 ? one.packets / packets : 0,
  }));
}

export function ratesByAction(
  verdicts: Iterable<readonly [name: string, { readonly packetsPerSecond: number }]>,
): ActionRates {
  const rates = { forward: 0, answer: 0, pass: 0, drop: 0 };
  for (const [name, { packetsPerSecond }] of verdicts) rates[actionOf(name)] += packetsPerSecond;
  return rates;
}

/** A verdict of a newer node tells its action by its name. */
export function actionOf(name: string): Action {
  const known = KNOWN.get(name);
  if (known !== undefined) return known.action as Action;
  if (name.startsWith('drop_')) return 'drop';
  if (name.startsWith('pass_')) return 'pass';
  return name.endsWith('_answered') ? 'answer' : 'forward';
}
