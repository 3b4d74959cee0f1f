/**
 * What an answer of a source makes of the members of a group. Pure: the same answer decides the same, in whatever order it came.
 *
 *   in the answer, not in force        joins
 *   in force, not in the answer        drains (`leaves`), and goes when its drain is done
 *   the same name, another address     the same, and joins again when the old one has gone
 *   back while it drains               does not drain any more
 *   joins, with the id of another one   does not; all else does
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
import { defaultId } from '../packet/second-chance-key.js';
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
  /** Of a pool whose backends need ids: who has each of them now, or had within the settle time, by address. */
  readonly idHolders?: () => IdHolders | undefined;
}

export type IdHolders = ReadonlyMap<number, ReadonlySet<string>>;

export interface Alarm {
  readonly kind: 'no_answer' | 'empty' | 'wrong' | 'too_many' | 'too_few' | 'id_taken' | 'refused';
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
function step(question: Question, mayLose: boolean): Decision {
  const { inForce, found, holds, isDrained } = question;
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
  const { joined, refused } = joining(question, next);
  for (const { name } of joined) changes.push(`${name} joins`);
  return {
    next: changes.length === 0 ? inForce : [...next, ...joined],
    changes,
    ...(refused.length > 0 && { alarm: sameIds(refused) }),
  };
}

/** Who comes to those that are there, and who must not, in words. */
function joining(
  { kind, found, holds, idHolders }: Question,
  present: readonly Standing[],
): { readonly joined: readonly Standing[]; readonly refused: readonly string[] } {
  const names = new Set(present.map(({ name }) => name));
  const places = new Set(present.map(placeOf));
  const wanted = sorted(found).filter(
    (one) =>
      // One that drains already is of no use to a group that never had it.
      one.draining !== true && !names.has(one.name) && !places.has(placeOf(one)) && holds(one.name),
  );
  const claims = new IdClaims(wanted.length === 0 ? undefined : idHolders?.());
  const joined: Standing[] = [];
  const refused: string[] = [];
  for (const { name, address, port, weight = WEIGHT } of wanted) {
    if (present.length + joined.length >= GROUP_KINDS[kind].most) break;
    const wrong = claims.claim(address);
    const where = port === undefined ? { address } : { address, port };
    if (wrong === undefined) joined.push({ name, ...where, weight, state: 'active', leaves: false });
    else refused.push(`${name} (${address} ${wrong})`);
  }
  return { joined, refused };
}

/** Ids of those who would join: in the packets of services with second chance, each names one address. */
class IdClaims {
  readonly #holders: IdHolders | undefined;
  readonly #claimed = new Map<number, string>();

  /** @param holders undefined where ids do not count */
  constructor(holders: IdHolders | undefined) {
    this.#holders = holders;
  }

  /** @returns what is wrong with its id, in words; undefined when it is free */
  claim(text: string): string | undefined {
    const address = parseAddress(text);
    if (this.#holders === undefined || address === undefined) return undefined;
    const id = defaultId(address);
    if (id === 0) return 'has the id 0, which names no backend';
    const others = [...(this.#holders.get(id) ?? [])].filter((other) => other !== address.text);
    const holder = others[0] ?? this.#claimed.get(id);
    if (holder === undefined) this.#claimed.set(id, address.text);
    return holder && `has the id of ${holder}`;
  }
}

function sameIds(refused: readonly string[]): Alarm {
  const who = listed(refused, NAMED);
  const text = `these do not join, since the low 15 bits of an address are an id, which names one address within the settle time: ${who}`;
  return { kind: 'id_taken', text: printable(text, 500) };
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
