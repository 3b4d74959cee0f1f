/**
 * What an answer of a source makes of the members of a group. Pure: the same answer decides the same, in whatever order it came.
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
 * last settle time, or of an upstream of the last drain deadline.
 */

import { GROUP_KINDS, type GroupKind } from '../config/discover/kinds.js';
import type { Standing } from '../config/edit/found.js';
import { listed } from '../core/listed.js';
import { printable } from '../core/printable.js';
import { type IpPrefix, parseAddress, prefixContains } from '../packet/address.js';
import type { Found } from './answer.js';

export interface DiscoverLimits {
  readonly allowedAddresses: readonly IpPrefix[];
  /** How many are to stay active. */
  readonly least: number;
  /** From 0 to 1. */
  readonly maxRemove: number;
}

export interface Question {
  readonly kind: GroupKind;
  readonly inForce: readonly Standing[];
  /** Names of the members that the source had not taken away, in each state of that time, the one in force included. */
  readonly recent: readonly ReadonlySet<string>[];
  readonly found: readonly Found[];
  readonly limits: DiscoverLimits;
  /** Whether what the source says of a name has been the same for long enough. */
  readonly holds: (name: string) => boolean;
  /** Whether the drain of a member is done. */
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
  const { kind, inForce, found, limits } = question;
  const alarm = whatIsWrong(kind, found, limits);
  if (alarm !== undefined) return { next: inForce, changes: [], alarm };
  const wanted = step(question, true);
  const excess = tooMuch(kind, inForce, wanted.next, question.recent, limits);
  if (excess === undefined) return wanted;
  return { ...step(question, false), alarm: excess };
}

/** Of an answer as such. */
function whatIsWrong(
  kind: GroupKind,
  found: readonly Found[],
  { allowedAddresses }: DiscoverLimits,
): Alarm | undefined {
  const { one, most } = GROUP_KINDS[kind];
  if (found.length === 0) return { kind: 'empty', text: `it names no ${one}; nothing was changed` };
  if (found.length > most)
    return {
      kind: 'wrong',
      text: `it names ${found.length} ${one}s; ${most} are taken at most; nothing was changed`,
    };
  const strangers = found.filter(({ address }) => !isAllowed(address, allowedAddresses));
  const wrong = [
    ...twice(found, 'name', ({ name }) => name),
    ...twice(found, 'address', placeOf),
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

/** What only one of a group can have. */
function placeOf({ address, port }: Pick<Standing, 'address' | 'port'>): string {
  return port === undefined ? address : `${address} port ${port}`;
}

function twice(found: readonly Found[], field: string, of: (one: Found) => string): string[] {
  const seen = new Set<string>();
  const again = new Set<string>();
  for (const one of found) (seen.has(of(one)) ? again : seen).add(of(one));
  return again.size === 0 ? [] : [`the ${field} ${listed([...again].sort(), NAMED)} twice`];
}

/** @param mayLose whether members may be taken away */
function step({ kind, inForce, found, holds, isDrained }: Question, mayLose: boolean): Decision {
  const byName = new Map(found.map((one) => [one.name, one]));
  const changes: string[] = [];
  const next = inForce.flatMap((one): Standing[] => {
    if (!holds(one.name)) return [one];
    const { name, state, leaves } = one;
    const said = byName.get(name);
    const isThere = said !== undefined && placeOf(said) === placeOf(one);
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
  const places = new Set(next.map(placeOf));
  for (const one of sorted(found)) {
    const { name, address, port, weight = WEIGHT, draining } = one;
    // One that drains already is of no use to a group that never had it.
    if (draining === true || names.has(name) || places.has(placeOf(one)) || !holds(name)) continue;
    if (next.length >= GROUP_KINDS[kind].most) break;
    const where = port === undefined ? { address } : { address, port };
    next.push({ name, ...where, weight, state: 'active', leaves: false });
    changes.push(`${name} joins`);
  }
  return { next: changes.length === 0 ? inForce : next, changes };
}

function sorted(found: readonly Found[]): Found[] {
  return [...found].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * What of a change would take away more than it may; undefined when it may come.
 * @param recent the states of that time: from each of them so many may have gone
 */
export function tooMuch(
  kind: GroupKind,
  before: readonly Standing[],
  next: readonly Standing[],
  recent: readonly ReadonlySet<string>[],
  { least, maxRemove }: DiscoverLimits,
): Alarm | undefined {
  const present = presentNames(next);
  const losing = [...presentNames(before)].filter((name) => !present.has(name)).sort();
  if (losing.length === 0) return undefined;
  const { least: field, window } = GROUP_KINDS[kind];
  const who = `${listed(losing, NAMED)} ${losing.length === 1 ? 'is' : 'are'} gone in it`;
  const active = activeNames(next);
  if (active.size < least && [...activeNames(before)].some((name) => !active.has(name)))
    return {
      kind: 'too_few',
      text: `${who}, which leaves ${active.size} active; ${field} is ${least}; nobody was taken away`,
    };
  for (const state of recent) {
    const lost = [...state].filter((name) => !present.has(name)).length;
    const most = mayGo(state.size, maxRemove);
    if (lost > most)
      return {
        kind: 'too_many',
        text: `${who}: ${lost} of ${state.size} within the ${window}; max_remove lets ${most} go; nobody was taken away`,
      };
  }
  return undefined;
}

/** One may always go, or small groups would never change. */
function mayGo(of: number, share: number): number {
  return share === 0 ? 0 : Math.max(1, Math.floor(of * share));
}

/** Whom the source has not taken away, as far as it was believed. */
export function presentNames(members: readonly Standing[]): Set<string> {
  return new Set(members.flatMap(({ name, leaves }) => (leaves ? [] : [name])));
}

function activeNames(members: readonly Standing[]): Set<string> {
  return new Set(members.flatMap(({ name, state }) => (state === 'active' ? [name] : [])));
}
