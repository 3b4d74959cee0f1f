/** The rules of defence in an image (native/include/anyhop/defend.h): written from the config's, and read again. */
import type { DefendMode, DefendRules } from '../config/defend/types.js';
import { L } from '../core/layout.gen.js';
import { COOKIE_SYNS_PER_SECOND_MIN } from '../core/limits.js';
import { formatDuration } from '../core/time.js';
import type { FlowKey } from '../hash/key.js';
import type { Image } from './read.js';

export interface RulesInput {
  /** Of the hash of sources. */
  readonly key: FlowKey;
  /** By service name; a service that is not there has none. */
  readonly byService: ReadonlyMap<string, DefendRules>;
}

/** A unit of time, in ms. */
const UNIT_MS = 2 ** L.UNIT_SHIFT / 1e6;
/** Of a service whose rate is not limited: its SYNs are counted all the same. */
const SERVICE_WINDOW_MS = 1000;

/** Bytes of the rules of so many service counters; 0 when no service has any. */
export function rulesBytes(input: RulesInput | undefined, serviceCounters: number): number {
  if (input === undefined || ![...input.byService.values()].some((rules) => flagsOf(rules) !== 0)) return 0;
  return L.SIZEOF_DEFENCE + serviceCounters * L.SIZEOF_RULES;
}

/**
 * @param at where they begin
 * @param counters service counter by name
 */
export function writeRules(
  view: DataView,
  at: number,
  { key, byService }: RulesInput,
  counters: ReadonlyMap<string, number>,
): void {
  for (const [i, word] of key.entries()) view.setInt32(at + L.DEFENCE_KEY + i * 4, word, true);
  const windows = new Set([...byService.values()].flatMap(({ sourceRate }) => sourceRate?.perMs ?? []));
  if (windows.size > 1)
    throw new RangeError(
      `sources are limited by several windows: ${[...windows].map(formatDuration).join(', ')}`,
    );
  const [window = SERVICE_WINDOW_MS] = windows;
  view.setUint32(at + L.DEFENCE_WINDOW, unitsIn(window), true);
  view.setUint32(at + L.DEFENCE_RECIPROCAL, reciprocalOf(window), true);
  for (const [name, rules] of byService) {
    const counter = counters.get(name);
    if (counter === undefined) continue;
    writeService(view, at + L.SIZEOF_DEFENCE + counter * L.SIZEOF_RULES, rules, counter);
  }
}

function writeService(view: DataView, at: number, rules: DefendRules, counter: number): void {
  const { sourceRate: source, serviceRate: service } = rules;
  const put = (offset: number, value: number): void => view.setUint32(at + offset, value, true);
  const perMs = service?.perMs ?? SERVICE_WINDOW_MS;
  put(L.RULES_FLAGS, flagsOf(rules));
  put(L.RULES_SCOPE, rules.ownSources ? 1 + counter : 0);
  put(L.RULES_SOURCE_PACKETS, limitOf(source?.packets));
  put(L.RULES_SOURCE_SYNS, limitOf(source?.syn));
  put(L.RULES_NETWORK_PACKETS, limitOf(source?.network?.packets));
  put(L.RULES_NETWORK_SYNS, limitOf(source?.network?.syn));
  put(L.RULES_SERVICE_SYNS, limitOf(service?.syn));
  put(L.RULES_SERVICE_WINDOW, unitsIn(perMs));
  put(L.RULES_SERVICE_RECIPROCAL, reciprocalOf(perMs));
  put(L.RULES_THRESHOLD, Math.max(1, Math.round((COOKIE_SYNS_PER_SECOND_MIN * perMs) / 1000)));
  view.setUint8(at + L.RULES_PREFIX4, source?.prefix4 ?? 32);
  view.setUint8(at + L.RULES_PREFIX6, source?.prefix6 ?? 64);
}

function flagsOf({ lists, sourceRate, serviceRate, synCookies }: DefendRules): number {
  const flags = (mode: DefendMode | undefined, rule: number, enforce: number): number =>
    mode === undefined || mode === 'off' ? 0 : mode === 'enforce' ? rule | enforce : rule;
  const cookies = flags(synCookies?.mode, L.RULES_COOKIES, L.RULES_COOKIES_ENFORCE);
  return (
    flags(lists, L.RULES_LISTS, L.RULES_LISTS_ENFORCE) |
    flags(sourceRate?.mode, L.RULES_SOURCE, L.RULES_SOURCE_ENFORCE) |
    flags(serviceRate?.mode, L.RULES_SERVICE, L.RULES_SERVICE_ENFORCE) |
    cookies |
    (cookies !== 0 && synCookies?.when === 'always' ? L.RULES_COOKIES_ALWAYS : 0)
  );
}

/** @throws RangeError for more than a window's count can tell */
function limitOf(limit: number | undefined): number {
  if (limit === undefined) return L.NO_LIMIT;
  if (limit < 1 || limit > L.COUNT_MAX) throw new RangeError(`a limit of ${limit} in a window`);
  return Math.floor(limit);
}

function unitsIn(ms: number): number {
  return Math.max(2, Math.round(ms / UNIT_MS));
}

function reciprocalOf(ms: number): number {
  return Math.floor(2 ** 32 / unitsIn(ms));
}

/** Flags (L.RULES_...) of the rules of a service counter; 0 when it has none. */
export function rulesFlags({ words, rulesWord }: Image, counter: number): number {
  if (rulesWord === 0) return 0;
  return words[rulesWord + (L.SIZEOF_DEFENCE + counter * L.SIZEOF_RULES + L.RULES_FLAGS) / 4];
}

/** Whether any service looks its sources up in lists. */
export function usesLists(image: Image): boolean {
  for (let counter = 0; counter < image.serviceCounters; counter++)
    if ((rulesFlags(image, counter) & L.RULES_LISTS) !== 0) return true;
  return false;
}

/** The window in which sources are counted. */
export function sourceWindowMs({ words, rulesWord }: Image): number {
  return rulesWord === 0 ? 0 : words[rulesWord + L.DEFENCE_WINDOW / 4] * UNIT_MS;
}
