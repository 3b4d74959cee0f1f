/** What a node tells of its defence: rules, what they did, lists, who takes no cookies, attacks. */
import type {
  CookieRefusal,
  DefendCounts,
  DefendedService,
  DefendReport,
  DefendSummary,
  DefendTopReport,
  DidWould,
  RateLimitStatus,
  RuntimeBlock,
  SourceRateStatus,
} from '../api/defend.js';
import { DEFEND_MODE_DEFAULT } from '../config/defend/resolve.js';
import type { DefendRules, RateLimit, SourceRate } from '../config/defend/types.js';
import type { Config } from '../config/types.js';
import { L } from '../core/layout.gen.js';
import type { ServiceWatch } from '../defend/service-watch.js';
import type { DefenceWatch } from '../defend/watch.js';
import type { HeavySource } from '../engine/defence.js';
import type { ListsStatus } from '../lists/lists-status.js';
import type { RuntimeEntry } from '../lists/runtime-entries.js';
import type { Assembly } from './assemble.js';

export interface DefenceSources {
  readonly file: Pick<Config, 'defend' | 'pools' | 'services'>;
  /** In force. */
  readonly assembly: Assembly;
  readonly guarded: Float64Array;
  readonly watch: DefenceWatch;
  readonly lists: ListsStatus;
  readonly entries: readonly RuntimeEntry[];
  /** By the text of a backend's address; undefined when its agent takes them. */
  readonly whyNoCookies: (address: string) => string | undefined;
}

export function defendReport(sources: DefenceSources): DefendReport {
  const { file, watch, lists, entries } = sources;
  return {
    mode: file.defend === undefined ? 'off' : file.defend.mode,
    services: ruledServices(sources).map(({ name, counter, rules, isTcp }) => ({
      name,
      lists: rules.lists,
      ...(rules.sourceRate && { sourceRate: sourceStatus(rules.sourceRate, rules.ownSources) }),
      ...(rules.serviceRate && { serviceRate: rules.serviceRate }),
      counts: countsOf(sources.guarded, counter),
      ...ofSyns(rules, watch.of(name), isTcp),
    })),
    lists,
    blocks: entries.map((entry): RuntimeBlock => entry),
    withoutCookies: withoutCookies(sources),
    attacks: watch.attacks(),
  };
}

/** Undefined when no service has rules. */
export function defendSummary(sources: DefenceSources): DefendSummary | undefined {
  const { file, watch, lists, entries } = sources;
  const services = ruledServices(sources);
  if (services.length === 0) return undefined;
  const listed = (list: 'allow' | 'block'): number =>
    lists[list].prefixes4 + lists[list].prefixes6 + entries.filter(({ verdict }) => verdict === list).length;
  return {
    mode: file.defend?.mode ?? DEFEND_MODE_DEFAULT,
    services: services.map(({ name, rules, isTcp }) => {
      const seen = watch.of(name);
      return {
        name,
        ...(seen && isTcp && { synRate: seen.synRate }),
        ...(rules.synCookies && { cookies: seen?.cookies === true ? 'active' : 'idle' }),
        absorbed: seen === undefined ? { did: 0, would: 0 } : absorbed(seen.rates),
      };
    }),
    lists: {
      allow: listed('allow'),
      block: listed('block'),
      problems: listProblems(lists),
    },
    withoutCookies: withoutCookies(sources),
    attacks: watch.attacks().filter(({ until }) => until === undefined),
  };
}

/** A line for each file that is not in force as it is, which begins with its path, and one when all lists together are not. */
export function listProblems({ allow, block, problem }: ListsStatus): string[] {
  const ofFiles = [...allow.sources, ...block.sources].flatMap((source) => {
    if (source.problem === undefined) return [];
    const [first, ...more] = source.problem.split('\n');
    return more.length === 0 ? first : `${first}; and more`;
  });
  if (problem === undefined) return ofFiles;
  return [`the lists cannot be put in force, and the former ones stay: ${problem}`, ...ofFiles];
}

export function defendTop(
  heavy: readonly HeavySource[],
  { services, numbers }: Pick<Assembly, 'services' | 'numbers'>,
): DefendTopReport {
  const names = new Map(services.map(({ name }) => [numbers.services.of(name), name]));
  return {
    sources: heavy.map(({ source, service, packetsPerSecond, dropped }) => {
      const scope = service === undefined ? undefined : names.get(service);
      return { source, packetsPerSecond, dropped, ...(scope !== undefined && { scope }) };
    }),
  };
}

interface Ruled {
  readonly name: string;
  readonly counter: number;
  readonly rules: DefendRules;
  readonly isTcp: boolean;
}

export function ruledServices({ assembly }: Pick<DefenceSources, 'assembly'>): Ruled[] {
  const { services, defend, numbers } = assembly;
  return services.flatMap(({ name, protocol }) => {
    const rules = defend?.rules.get(name);
    if (rules === undefined) return [];
    return { name, counter: numbers.services.of(name), rules, isTcp: protocol === 'tcp' };
  });
}

/** What was counted by rules in the order of GUARDED_RULES. */
export function countsOf(guarded: Float64Array, counter: number): DefendCounts {
  const of = (kind: number): number => guarded[counter * L.GUARDED_KINDS + kind] ?? 0;
  const both = (did: number, would: number): DidWould => ({ did: of(did), would: of(would) });
  return {
    syns: of(L.GUARDED_SYNS),
    allowed: of(L.GUARDED_ALLOWED),
    blocked: both(L.GUARDED_BLOCKED, L.GUARDED_WOULD_BLOCK),
    sourceRate: both(L.GUARDED_SOURCE_RATE, L.GUARDED_WOULD_SOURCE_RATE),
    serviceRate: both(L.GUARDED_SERVICE_RATE, L.GUARDED_WOULD_SERVICE_RATE),
    cookies: both(L.GUARDED_COOKIES, L.GUARDED_WOULD_COOKIE),
    synLimited: both(L.GUARDED_SYN_LIMITED, L.GUARDED_WOULD_SYN_LIMIT),
  };
}

/** Dropped or answered. */
function absorbed(rates: Float64Array): DidWould {
  const { syns: _, allowed: __, ...rules } = countsOf(rates, 0);
  const sum = (effect: keyof DidWould): number =>
    Object.values(rules).reduce((total, each) => total + each[effect], 0);
  return { did: sum('did'), would: sum('would') };
}

function sourceStatus(
  { mode, perMs, prefix4, prefix6, network, ...limit }: SourceRate,
  own: boolean,
): SourceRateStatus {
  return {
    mode,
    perMs,
    prefix4,
    prefix6,
    own,
    ...limitStatus(limit),
    ...(network && { network: limitStatus(network) }),
  };
}

function limitStatus({ packets, syn }: RateLimit): RateLimitStatus {
  return { ...(packets !== undefined && { packets }), ...(syn !== undefined && { syn }) };
}

function ofSyns(
  { synCookies }: DefendRules,
  seen: ServiceWatch | undefined,
  isTcp: boolean,
): Pick<DefendedService, 'cookies' | 'synRate' | 'norm' | 'threshold'> {
  const since = seen?.cookiesSinceMs;
  return {
    ...(synCookies && {
      cookies: {
        ...synCookies,
        state: seen?.cookies === true ? 'active' : 'idle',
        ...(since !== undefined && { since: new Date(since).toISOString() }),
      },
    }),
    ...(seen &&
      isTcp && { synRate: seen.synRate, norm: seen.norm.perSecond, threshold: seen.norm.threshold }),
  };
}

/** Of the pools whose services use cookies. */
export function withoutCookies({
  assembly,
  whyNoCookies,
}: Pick<DefenceSources, 'assembly' | 'whyNoCookies'>): CookieRefusal[] {
  const pools = cookiePools(assembly);
  return assembly.pools.flatMap(({ name: pool, state }) =>
    pools.has(pool)
      ? state.flatMap(({ name: backend, agent, address }) => {
          const why = agent ? whyNoCookies(address.text) : 'it has no agent (agent: false)';
          return why === undefined ? [] : { pool, backend, why };
        })
      : [],
  );
}

/** Names of the pools whose services use cookies. */
export function cookiePools({
  services,
  defend,
}: Pick<Assembly, 'services' | 'defend'>): ReadonlySet<string> {
  return new Set(
    services.flatMap(({ name, pool }) => (defend?.rules.get(name)?.synCookies === undefined ? [] : pool)),
  );
}
