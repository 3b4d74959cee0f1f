/** The text of `anyhop defend status`: attacks first, then what each rule did in words, then lists and who cannot take cookies. */
import type {
  AttackStatus,
  DefendCounts,
  DefendedService,
  DefendReport,
  DidWould,
  ListSourceStatus,
  ListStatus,
  RuntimeBlock,
} from '../api/defend.js';
import { serviceRateText, sourceRateText } from '../config/defend/rules-text.js';
import { lasting, short } from '../core/figures.js';
import { printable } from '../core/printable.js';
import { clockTime } from '../core/time.js';
import { attackText } from '../view/defence-troubles.js';
import { groupedBy } from '../view/gather.js';
import { aSecond, type Earlier } from './defend-look.js';
import { columns, labelled, someOf } from './format.js';

/** Of each table: a config names 1,024 sources of each list at most, and thousands may be blocked at runtime. */
const ROWS_MAX = 50;
/** A reason is 300 characters at most (agent/report.ts). */
const LINE_CHARS_MAX = 1024;
const RIGHT = new Set(['PREFIXES', 'PACKETS', 'PEAK/S']);

const MODES: Readonly<Record<DefendReport['mode'], string>> = {
  off: 'off, except where a pool or a service says otherwise',
  observe: 'observe: rules count what they would drop, and drop nothing',
  enforce: 'enforce: rules drop',
};

export function drawDefend(report: DefendReport, earlier?: Earlier<DefendReport>, now = new Date()): string {
  const { mode, services, lists, blocks, withoutCookies, attacks } = report;
  if (mode === 'off' && services.length === 0 && blocks.length === 0)
    return 'nothing is defended: the config has no section defend, or mode: off (docs/defend.md)\n';
  const lasts = attacks.filter(({ until }) => until === undefined);
  const ended = attacks.filter(({ until }) => until !== undefined);
  const parts = [
    labelled(
      [
        ['mode', MODES[mode]],
        ...lasts.map((attack): [string, string] => ['UNDER ATTACK', drawAttack(attack, now)]),
        [
          'lists',
          `blocked prefixes: ${prefixes(lists.block)}, allowed: ${prefixes(lists.allow)}${atRuntime(blocks)}, ${short(lists.bytes)}B`,
        ],
        ...problemsOf(lists, now),
      ],
      '',
    ),
    ...drawServices(services, earlier, now),
    drawSources(lists, now),
    drawBlocks(blocks, now),
    drawWithoutCookies(withoutCookies),
    drawEnded(ended, now),
  ];
  return parts.filter((part) => part !== '').join('\n');
}

function atRuntime({ length }: DefendReport['blocks']): string {
  return length === 0 ? '' : `, and ${length} at runtime`;
}

function prefixes({ prefixes4, prefixes6 }: ListStatus): string {
  return `${prefixes4} of IPv4 and ${prefixes6} of IPv6`;
}

function drawAttack({ service, kind, since, peak, rate, packets, mode }: AttackStatus, now: Date): string {
  const counted = mode === 'observe' ? ', only counted (mode observe)' : '';
  const age = lasting(now.getTime() - Date.parse(since));
  return `${service}: ${attackText(kind)} for ${age}, ${short(rate)}/s now, ${short(peak)}/s at most, ${short(packets)} packets${counted}`;
}

function problemsOf({ allow, block, problem }: DefendReport['lists'], now: Date): [string, string][] {
  const ofFiles = [...allow.sources, ...block.sources].flatMap(({ prefixes, loadedAt, problem }) => {
    if (problem === undefined) return [];
    const stays =
      loadedAt === undefined
        ? 'nothing of it is in force'
        : `what it had at ${clockTime(loadedAt, now)} stays in force (prefixes: ${prefixes})`;
    return problem
      .split('\n')
      .map((line, i, { length }): [string, string] => [
        i === 0 ? 'LIST NOT READ' : '',
        i === length - 1 ? `${line}; ${stays}` : line,
      ]);
  });
  if (problem === undefined) return ofFiles;
  return [['LISTS NOT IN FORCE', `${problem}; the former ones stay, and it is tried again`], ...ofFiles];
}

/** What happens a second, by count. */
type Rates = Readonly<Record<CountName, DidWould>>;
type CountName = 'blocked' | 'sourceRate' | 'serviceRate' | 'cookies' | 'synLimited';

function ratesOf(
  { name, counts }: DefendedService,
  earlier: Earlier<DefendReport> | undefined,
): Rates | undefined {
  const before = earlier?.report.services.find((service) => service.name === name)?.counts;
  if (before === undefined || earlier === undefined) return undefined;
  const of = (which: CountName): DidWould => ({
    did: aSecond(counts[which].did - before[which].did, earlier.agoMs),
    would: aSecond(counts[which].would - before[which].would, earlier.agoMs),
  });
  return {
    blocked: of('blocked'),
    sourceRate: of('sourceRate'),
    serviceRate: of('serviceRate'),
    cookies: of('cookies'),
    synLimited: of('synLimited'),
  };
}

/** Those that nothing has happened to are told together, where they have the same rules. */
function drawServices(
  services: readonly DefendedService[],
  earlier: Earlier<DefendReport> | undefined,
  now: Date,
): string[] {
  const drawn = services.map((service) => ({
    service,
    rows: ruleRows(service, ratesOf(service, earlier), now),
  }));
  const groups = groupedBy(drawn, ({ service, rows }) =>
    rows.every((row) => row.at(-1) === NOTHING) ? JSON.stringify(rows) : service.name,
  );
  return [...groups.values()].map((some) => {
    const head =
      some.length === 1
        ? serviceHead(some[0].service)
        : `services ${someOf(some.map(({ service }) => service.name))}`;
    return lines([head, ...columns(['RULE', 'MODE', 'LIMIT', 'SO FAR'], some[0].rows)]);
  });
}

function serviceHead({ name, synRate, norm, counts }: DefendedService): string {
  const said = [
    ...(synRate === undefined
      ? []
      : [`${short(synRate)} SYNs/s${norm === undefined ? '' : `, norm ${short(norm)}`}`]),
    ...(counts.allowed > 0 ? [`${short(counts.allowed)} packets of allowed sources`] : []),
  ].join(', ');
  return `service ${printable(name)}${said === '' ? '' : `: ${said}`}`;
}

function ruleRows(
  { lists, sourceRate, serviceRate, cookies, threshold, counts }: DefendedService,
  rates: Rates | undefined,
  now: Date,
): string[][] {
  const dropped = (which: CountName): string => soFar('drop', counts[which], rates?.[which]);
  return [
    ...(lists === 'off' ? [] : [['lists', lists, 'what the lists block', dropped('blocked')]]),
    ...(sourceRate === undefined
      ? []
      : [['source rate', sourceRate.mode, sourceRateText(sourceRate), dropped('sourceRate')]]),
    ...(serviceRate === undefined
      ? []
      : [['service rate', serviceRate.mode, serviceRateText(serviceRate), dropped('serviceRate')]]),
    ...(cookies === undefined
      ? []
      : [['SYN cookies', cookies.mode, cookiesText(cookies, threshold, now), cookiesSoFar(counts, rates)]]),
  ];
}

function cookiesText(
  { when, state, since }: NonNullable<DefendedService['cookies']>,
  threshold: number | undefined,
  now: Date,
): string {
  const from =
    when === 'always'
      ? 'for every SYN'
      : threshold === undefined
        ? 'auto'
        : `above ${short(threshold)} SYNs/s`;
  const word = state === 'active' ? 'ACTIVE' : state;
  return `${from}: ${word}${since === undefined ? '' : ` since ${clockTime(since, now)}`}`;
}

function cookiesSoFar({ cookies, synLimited }: DefendCounts, rates: Rates | undefined): string {
  const answered = soFar('answer', cookies, rates?.cookies);
  if (synLimited.did + synLimited.would === 0) return answered;
  return `${answered}; beyond the cap ${soFar('drop', synLimited, rates?.synLimited)}`;
}

const NOTHING = 'nothing';
const WORDS = {
  drop: { did: 'dropped', would: 'would have dropped', unit: 'packet' },
  answer: { did: 'answered', would: 'would have answered', unit: 'SYN' },
} as const;

/** `dropped 1.2M packets, 300/s`, `would have dropped 55 packets`, or both after a change of mode. */
function soFar(verb: keyof typeof WORDS, counted: DidWould, rates: DidWould | undefined): string {
  const said = (['did', 'would'] as const).flatMap((which) => {
    if (counted[which] === 0) return [];
    const rate = rates === undefined ? '' : `, ${short(rates[which])}/s`;
    const { [which]: word, unit } = WORDS[verb];
    return `${word} ${short(counted[which])} ${unit}${counted[which] === 1 ? '' : 's'}${rate}`;
  });
  return said.length === 0 ? NOTHING : said.join('; ');
}

function drawSources({ allow, block }: DefendReport['lists'], now: Date): string {
  const rows = [
    ...allow.sources.map((source) => ['allow', source] as const),
    ...block.sources.map((source) => ['block', source] as const),
  ].map(([list, source]) => [list, source.from, String(source.prefixes), readAt(source, now)]);
  return rows.length === 0 ? '' : lines(table(['LIST', 'FROM', 'PREFIXES', 'READ'], rows));
}

function readAt({ loadedAt, problem }: ListSourceStatus, now: Date): string {
  if (loadedAt !== undefined) return clockTime(loadedAt, now);
  return problem === undefined ? 'with the config' : 'never';
}

function drawBlocks(blocks: readonly RuntimeBlock[], now: Date): string {
  if (blocks.length === 0) return '';
  return lines(
    table(
      ['AT RUNTIME', 'VERDICT', 'SINCE', 'LEFT', 'WHY'],
      blocks.map(({ prefix, verdict, since, until, why }) => [
        prefix,
        verdict,
        clockTime(since, now),
        until === undefined ? 'no end' : lasting(Date.parse(until) - now.getTime()),
        why ?? '',
      ]),
    ),
  );
}

/** One line a pool and reason. */
function drawWithoutCookies(refusals: DefendReport['withoutCookies']): string {
  const by = groupedBy(refusals, ({ pool, why }) => `${pool} ${why}`);
  return lines(
    [...by.values()].map((some) => {
      const [{ pool, why }] = some;
      const names = some.map(({ backend }) => backend);
      return printable(`pool ${pool}: NO SYN COOKIES for ${someOf(names)}: ${why}`, LINE_CHARS_MAX);
    }),
  );
}

function drawEnded(attacks: readonly AttackStatus[], now: Date): string {
  if (attacks.length === 0) return '';
  return lines(
    table(
      ['ENDED', 'SERVICE', 'BEGAN', 'PEAK/S', 'PACKETS', 'WHAT'],
      attacks.map(({ service, kind, since, until, peak, packets, mode }) => [
        clockTime(until!, now),
        service,
        clockTime(since, now),
        short(peak),
        short(packets),
        `${attackText(kind)}${mode === 'observe' ? ', only counted' : ''}`,
      ]),
    ),
  );
}

function table(head: readonly string[], rows: readonly string[][]): string[] {
  const left = rows.length - ROWS_MAX;
  const shown = left > 1 ? rows.slice(0, ROWS_MAX) : rows;
  return [...columns(head, shown, RIGHT), ...(left > 1 ? [`and ${left} more: --json has all`] : [])];
}

function lines(rows: readonly string[]): string {
  return rows.map((row) => `${row}\n`).join('');
}
