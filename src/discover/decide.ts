/**
 * What an answer of a source makes of the backends of a pool. Pure: the same answer decides the same, in whatever order it came.
 *
 *   in the answer, not in force        joins
 *   in force, not in the answer        drains (`leaves`), and goes when its drain is done
 *   the same name, another address     the same, and joins again when the old one has gone
 *   back while it drains               does not drain any more
 *   drained by the operator            stays so, and goes as soon as the source does not name it and its drain is done
 *
 * Whether a source is broken or many servers have gone cannot be told from its answer. So an answer that is empty or wrong changes
 * nothing, and one that takes away too much takes nobody away: it still brings those who join and those who come back. Which state "too
 * much" is measured against matters: against the one before alone, small steps would add up. It is measured against every state of the
 * last settle time.
 */

import type { Standing } from '../config/edit/found.js';
import type { BackendConfig } from '../config/types.js';
import { BACKENDS_PER_POOL_MAX } from '../core/limits.js';
import { listed } from '../core/listed.js';
import { printable } from '../core/printable.js';
import { type IpPrefix, parseAddress, prefixContains } from '../packet/address.js';
import type { FoundBackend } from './answer.js';

export interface DiscoverLimits {
  readonly allowedAddresses: readonly IpPrefix[];
  readonly minBackends: number;
  /** From 0 to 1. */
  readonly maxRemove: number;
}

export interface Question {
  readonly inForce: readonly Standing[];
  /** Names of the backends that the source had not taken away, in each state of the last settle time, the one in force included. */
  readonly recent: readonly ReadonlySet<string>[];
  readonly found: readonly FoundBackend[];
  readonly limits: DiscoverLimits;
  /** Whether what the source says of a name has been the same for long enough. */
  readonly holds: (name: string) => boolean;
  /** Whether the drain of a backend is done. */
  readonly isDrained: (name: string) => boolean;
}

export interface Alarm {
  readonly kind: 'no_answer' | 'empty' | 'wrong' | 'too_many' | 'too_few' | 'refused';
  readonly text: string;
}

export interface Decision {
  /** The same list when nothing changes. */
  readonly next: readonly Standing[];
  /** In words. */
  readonly changes: readonly string[];
  readonly alarm?: Alarm | undefined;
}

const NAMED = { most: 5 };
const WEIGHT = 1;

export function decide(question: Question): Decision {
  const { inForce, found, limits } = question;
  const alarm = whatIsWrong(found, limits);
  if (alarm !== undefined) return { next: inForce, changes: [], alarm };
  const wanted = step(question, true);
  const excess = tooMuch(inForce, wanted.next, question.recent, limits);
  if (excess === undefined) return wanted;
  return { ...step(question, false), alarm: excess };
}

/** Of an answer as such. */
function whatIsWrong(
  found: readonly FoundBackend[],
  { allowedAddresses }: DiscoverLimits,
): Alarm | undefined {
  if (found.length === 0) return { kind: 'empty', text: 'it names no backend; nothing was changed' };
  if (found.length > BACKENDS_PER_POOL_MAX)
    return {
      kind: 'wrong',
      text: `it names ${found.length} backends; a pool has ${BACKENDS_PER_POOL_MAX} at most; nothing was changed`,
    };
  const strangers = found.filter(({ address }) => !isAllowed(address, allowedAddresses));
  const wrong = [
    ...twice(found, 'name'),
    ...twice(found, 'address'),
    ...(strangers.length === 0
      ? []
      : [
          `${listed(sorted(strangers), { ...NAMED, text: (one) => `${one.name} (${one.address})` })} outside of allowed_addresses`,
        ]),
  ];
  if (wrong.length === 0) return undefined;
  return { kind: 'wrong', text: printable(`it has ${wrong.join('; ')}; nothing was changed`, 500) };
}

export function isAllowed(address: string, allowed: readonly IpPrefix[]): boolean {
  const parsed = parseAddress(address);
  return parsed !== undefined && allowed.some((prefix) => prefixContains(prefix, parsed));
}

function twice(found: readonly FoundBackend[], field: 'name' | 'address'): string[] {
  const seen = new Set<string>();
  const again = new Set<string>();
  for (const one of found) (seen.has(one[field]) ? again : seen).add(one[field]);
  return again.size === 0 ? [] : [`the ${field} ${listed([...again].sort(), NAMED)} twice`];
}

/** @param mayLose whether backends may be taken away */
function step({ inForce, found, holds, isDrained }: Question, mayLose: boolean): Decision {
  const byName = new Map(found.map((one) => [one.name, one]));
  const changes: string[] = [];
  const next = inForce.flatMap((one): Standing[] => {
    if (!holds(one.name)) return [one];
    const { name, address, state, leaves } = one;
    const said = byName.get(name);
    const isThere = said !== undefined && said.address === address;
    if (!isThere && state === 'draining' && (leaves || mayLose) && isDrained(name)) {
      changes.push(`${name} leaves`);
      return [];
    }
    const wants = isThere && said.draining !== true ? 'active' : 'draining';
    const weight = isThere ? (said.weight ?? one.weight) : one.weight;
    if (weight !== one.weight) changes.push(`${name} weight ${one.weight} -> ${weight}`);
    const weighed = weight === one.weight ? one : { ...one, weight };
    if (wants === 'active') {
      if (!leaves) return [weighed];
      changes.push(`${name} is back`);
      return [{ ...weighed, state: 'active', leaves: false }];
    }
    if (state === 'draining' || !mayLose) return [weighed];
    changes.push(`${name} drains`);
    return [{ ...weighed, state: 'draining', leaves: true }];
  });
  const names = new Set(next.map(({ name }) => name));
  const addresses = new Set(next.map(({ address }) => address));
  for (const { name, address, weight = WEIGHT, draining } of sorted(found)) {
    // One that drains already is of no use to a pool that never had it.
    if (draining === true || names.has(name) || addresses.has(address) || !holds(name)) continue;
    if (next.length >= BACKENDS_PER_POOL_MAX) break;
    next.push({ name, address, weight, state: 'active', leaves: false });
    changes.push(`${name} joins`);
  }
  return { next: changes.length === 0 ? inForce : next, changes };
}

function sorted(found: readonly FoundBackend[]): FoundBackend[] {
  return [...found].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * What of a change would take away more than it may; undefined when it may come.
 * @param recent the states of the last settle time: from each of them so many may have gone
 */
export function tooMuch(
  before: readonly Standing[],
  next: readonly Standing[],
  recent: readonly ReadonlySet<string>[],
  { minBackends, maxRemove }: DiscoverLimits,
): Alarm | undefined {
  const present = presentNames(next);
  const losing = [...presentNames(before)].filter((name) => !present.has(name)).sort();
  if (losing.length === 0) return undefined;
  const who = `${listed(losing, NAMED)} ${losing.length === 1 ? 'is' : 'are'} gone in it`;
  const active = activeNames(next);
  if (active.size < minBackends && [...activeNames(before)].some((name) => !active.has(name)))
    return {
      kind: 'too_few',
      text: `${who}, which leaves ${active.size} active; min_backends is ${minBackends}; nobody was taken away`,
    };
  for (const state of recent) {
    const lost = [...state].filter((name) => !present.has(name)).length;
    const most = mayGo(state.size, maxRemove);
    if (lost > most)
      return {
        kind: 'too_many',
        text: `${who}: ${lost} of ${state.size} within the settle time; max_remove lets ${most} go; nobody was taken away`,
      };
  }
  return undefined;
}

/** One may always go, or small pools would never change. */
function mayGo(of: number, share: number): number {
  return share === 0 ? 0 : Math.max(1, Math.floor(of * share));
}

/** Whom the source has not taken away, as far as it was believed. */
export function presentNames(backends: readonly Standing[]): Set<string> {
  return new Set(backends.flatMap(({ name, leaves }) => (leaves ? [] : [name])));
}

function activeNames(backends: readonly Standing[]): Set<string> {
  return new Set(backends.flatMap(({ name, state }) => (state === 'active' ? [name] : [])));
}

export function standingOf(backends: readonly BackendConfig[]): Standing[] {
  return backends.map(({ name, address, weight, state, leaves = false }) => ({
    name,
    address: address.text,
    weight,
    state,
    leaves,
  }));
}
