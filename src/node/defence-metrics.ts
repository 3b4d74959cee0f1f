/** What of a node's defence is measured, as tables. */
import { ATTACK_KINDS } from '../api/defend.js';
import { modeOf } from '../defend/service-watch.js';
import type { MetricTable } from '../metrics/table.js';
import { single } from '../metrics/table.js';
import { cookiePools, countsOf, type DefenceSources, ruledServices } from './defend-report.js';

/** Names of rules as labels, by the counts of a service. */
const RULES = {
  blocked: 'blocked',
  sourceRate: 'source_rate',
  serviceRate: 'service_rate',
  cookies: 'syn_cookies',
  synLimited: 'syn_limited',
} as const;
type Rule = keyof typeof RULES;
const RULE_NAMES = Object.keys(RULES) as Rule[];
const EFFECTS = ['did', 'would'] as const;
const LISTS = ['allow', 'block'] as const;

/** None without a section defend. */
export function defenceTables(sources: DefenceSources): readonly MetricTable[] {
  if (sources.file.defend === undefined) return [];
  return [...ofServices(sources), ...ofLists(sources), ofBackends(sources)];
}

function ofServices(sources: DefenceSources): readonly MetricTable[] {
  const { watch, guarded } = sources;
  const services = ruledServices(sources);
  const counts = services.map(({ counter }) => countsOf(guarded, counter));
  const attacks = new Set(
    watch
      .attacks()
      .flatMap(({ service, kind, until }) => (until === undefined ? [`${service} ${kind}`] : [])),
  );
  const kinds = services.flatMap(({ name, rules }) =>
    ATTACK_KINDS.filter((kind) => modeOf(rules, kind) !== undefined).map((kind) => [name, kind]),
  );
  const withCookies = services.filter(({ rules }) => rules.synCookies !== undefined);
  const seen = withCookies.map(({ name }) => watch.of(name));
  return [
    {
      rows: services.flatMap(({ name }) =>
        RULE_NAMES.flatMap((rule) => EFFECTS.map((effect) => [name, RULES[rule], effect])),
      ),
      columns: {
        anyhop_defend_packets_total: counts.flatMap((each) =>
          RULE_NAMES.flatMap((rule) => EFFECTS.map((effect) => each[rule][effect])),
        ),
      },
    },
    {
      rows: services.map(({ name }) => [name]),
      columns: {
        anyhop_defend_syns_total: counts.map(({ syns }) => syns),
        anyhop_defend_allowed_packets_total: counts.map(({ allowed }) => allowed),
      },
    },
    {
      rows: withCookies.map(({ name }) => [name]),
      columns: {
        anyhop_defend_norm_syns_per_second: seen.map((each) => each?.norm.perSecond ?? Number.NaN),
        anyhop_defend_threshold_syns_per_second: seen.map((each) => each?.norm.threshold ?? Number.NaN),
        anyhop_defend_cookies_active: seen.map((each) => Number(each?.cookies === true)),
      },
    },
    {
      rows: kinds,
      columns: { anyhop_defend_attack: kinds.map((labels) => Number(attacks.has(labels.join(' ')))) },
    },
  ];
}

function ofLists({ lists, entries }: DefenceSources): readonly MetricTable[] {
  const files = LISTS.flatMap((list) =>
    lists[list].sources.flatMap((source) => (source.from.startsWith('/') ? { list, ...source } : [])),
  );
  return [
    {
      rows: LISTS.flatMap((list) => [
        [list, 'ipv4'],
        [list, 'ipv6'],
      ]),
      columns: {
        anyhop_defend_list_prefixes: LISTS.flatMap((list) => [lists[list].prefixes4, lists[list].prefixes6]),
      },
    },
    {
      rows: files.map(({ list, from }) => [list, from]),
      columns: {
        anyhop_defend_list_file_prefixes: files.map(({ prefixes }) => prefixes),
        anyhop_defend_list_file_loaded_timestamp_seconds: files.map(({ loadedAt }) =>
          loadedAt === undefined ? Number.NaN : Date.parse(loadedAt) / 1000,
        ),
        anyhop_defend_list_file_problem: files.map(({ problem }) => Number(problem !== undefined)),
      },
    },
    {
      rows: LISTS.map((list) => [list]),
      columns: {
        anyhop_defend_runtime_prefixes: LISTS.map(
          (list) => entries.filter(({ verdict }) => verdict === list).length,
        ),
      },
    },
    single({
      anyhop_defend_lists_bytes: lists.bytes,
      anyhop_defend_lists_failed: lists.problem !== undefined,
    }),
  ];
}

function ofBackends({ assembly, whyNoCookies }: DefenceSources): MetricTable {
  const pools = cookiePools(assembly);
  const backends = assembly.pools.flatMap(({ name: pool, state }) =>
    pools.has(pool) ? state.map((member) => ({ pool, ...member })) : [],
  );
  return {
    rows: backends.map(({ pool, name }) => [pool, name]),
    columns: {
      anyhop_defend_backend_takes_cookies: backends.map(({ agent, address }) =>
        Number(agent && whyNoCookies(address.text) === undefined),
      ),
    },
  };
}
