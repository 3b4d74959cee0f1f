/** `anyhop simulate --fleet`: a large fleet with a store (sim/large/), its options, and what comes out in words. */
import { InvalidArgumentError, Option } from 'commander';
import { amount, percent, took } from '../core/figures.js';
import { formatDuration } from '../core/time.js';
import type { Spread } from '../sim/large/chance.js';
import { KINDS, type LargeOptions } from '../sim/large/options.js';
import { plotLarge } from '../sim/large/plot.js';
import { type LargeReport, type LargeRow, simulateLarge } from '../sim/large/simulate.js';
import { ANYHOP, ANYHOP_ALONE } from '../sim/scheme.js';
import { columns } from './format.js';
import { between } from './number.js';
import { writeResult } from './output.js';
import { ProgressLine } from './progress-line.js';
import { saveSvg } from './save-svg.js';

const MINUTE_MS = 60_000;

/** What `simulate` has for both. */
export interface FleetSimulation {
  readonly seed: number;
  readonly nodes?: number;
  readonly backends?: number;
  readonly flows: number;
  readonly settle: number;
  readonly lifetime?: number;
  readonly views: LargeOptions['views'];
  readonly svg?: string;
  readonly json?: true;
  readonly minutes: number;
  readonly churn: number;
  readonly crashes: number;
  readonly restarts: number;
  readonly partitions: number;
  readonly late: number;
  readonly loss: number;
  readonly prepare: Spread;
  readonly switch: Spread;
}

const [NODES_DEFAULT, BACKENDS_DEFAULT] = [100, 1000];
/** Reading a config of 1,000 backends takes a node 160 to 200 ms of processor time, and 700 the first time (docs/performance.md). */
const PREPARE_DEFAULT: Spread = { medianMs: 250, p99Ms: 1000 };
/** The target of `make bench-fleet`. */
const SWITCH_DEFAULT: Spread = { medianMs: 60, p99Ms: 200 };
const SPREAD_MS_MAX = 60_000;

/** Of --fleet alone. */
export function fleetOptions(): Option[] {
  const perHour = (flags: string, what: string, value: number): Option =>
    new Option(flags, `of --fleet: ${what}, an hour`).argParser(between(0, 10_000)).default(value);
  return [
    new Option('--minutes <count>', 'of --fleet: how long').argParser(between(1, 10_000)).default(60),
    perHour('--churn <count>', 'additions, drains with their removals, changes of weights', 30),
    perHour('--crashes <count>', 'backends that crash', 6),
    perHour('--restarts <count>', 'nodes that restart', 12),
    perHour('--partitions <count>', 'nodes that lose the store, or backends', 6),
    new Option('--late <percent>', 'of --fleet: nodes that switch late to a revision')
      .argParser(percentUpTo(100))
      .default(0.1),
    new Option('--loss <percent>', 'of --fleet: health checks that are lost')
      .argParser(percentUpTo(5))
      .default(0.3),
    spread('--prepare <ms,ms>', 'to make a revision ready', PREPARE_DEFAULT),
    spread('--switch <ms,ms>', 'to put it in force', SWITCH_DEFAULT),
  ];
}

function spread(flags: string, what: string, { medianMs, p99Ms }: Spread): Option {
  return new Option(
    flags,
    `of --fleet: how long a member takes ${what}: the median, and what 99 of 100 are below`,
  )
    .argParser(spreadOf)
    .default({ medianMs, p99Ms }, `${medianMs},${p99Ms}`);
}

function spreadOf(text: string): Spread {
  const [, median, p99] = /^(\d{1,6}),(\d{1,6})$/.exec(text) ?? [];
  const [medianMs, p99Ms] = [Number(median), Number(p99)];
  if (medianMs >= 1 && medianMs <= p99Ms && p99Ms <= SPREAD_MS_MAX) return { medianMs, p99Ms };
  throw new InvalidArgumentError(
    `Expected two whole numbers of milliseconds from 1 to ${SPREAD_MS_MAX}, the smaller one first: 60,200.`,
  );
}

function percentUpTo(max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,3}(\.\d{1,4})?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= 0 && value <= max) return value;
    throw new InvalidArgumentError(`Expected a percentage from 0 to ${max}.`);
  };
}

export async function runFleet(given: FleetSimulation): Promise<void> {
  const options = optionsOf(given);
  const line = new ProgressLine();
  const report = simulateLarge(options, ({ nowMs, changes, tables }) => {
    if (nowMs % MINUTE_MS > 0 && !process.stderr.isTTY) return;
    const played = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS;
    const passed = `${formatDuration(played)} of ${formatDuration(given.minutes * MINUTE_MS)}`;
    line.show(`${passed}, ${amount(changes, 'change')}, ${amount(tables, 'table')} made`);
  });
  line.clear();
  if (given.svg !== undefined) saveSvg(given.svg, await plotLarge(report, heading(report, options)));
  writeResult(given.json, { ...options, ...report }, () => describe(report, options));
}

function optionsOf(given: FleetSimulation): LargeOptions {
  const { seed, flows, views, churn, crashes, restarts, partitions, prepare } = given;
  const settleMs = given.settle * 1000;
  return {
    ...{ seed, flows, views, churn, crashes, restarts, partitions, prepare },
    nodes: given.nodes ?? NODES_DEFAULT,
    backends: given.backends ?? BACKENDS_DEFAULT,
    settleMs,
    lifetimeMs: given.lifetime === undefined ? settleMs : given.lifetime * 1000,
    endMs: given.minutes * MINUTE_MS,
    late: given.late / 100,
    loss: given.loss / 100,
    switch: given.switch,
  };
}

function heading({ pools }: LargeReport, options: LargeOptions): string {
  const { nodes, backends, flows, settleMs, views, endMs, seed } = options;
  return [
    amount(nodes, 'node'),
    `${amount(backends, 'backend')} in ${amount(pools, 'pool')}`,
    `${flows} connections open at any moment`,
    `views ${views}`,
    `settle time ${formatDuration(settleMs)}`,
    formatDuration(endMs),
    `seed ${seed}`,
  ].join(', ');
}

const HEAD = ['why', 'events', 'tables differed', 'median', '99 %', 'longest', 'together'] as const;
const [BROKEN, ALONE, WITHDRAWN] = ['broken', 'no 2nd chance', 'withdrawn'] as const;

function describe(report: LargeReport, options: LargeOptions): string {
  const head = [...HEAD, BROKEN, ALONE, WITHDRAWN];
  const rows = report.rows
    .filter(isWorthIt)
    .map((row) => [
      row.kind,
      `${row.events}`,
      row.differed === 0 ? 'never' : `${row.differed} times`,
      ...[row.medianMs, row.p99Ms, row.maxMs, row.totalMs].map((ms) => (ms === 0 ? '0' : took(ms))),
      ...[ANYHOP, ANYHOP_ALONE].map(({ name }) => `${row.broken[name]}`),
      `${row.withdrawals}`,
    ]);
  const sum = (of: (row: LargeRow) => number): number => report.rows.reduce((all, row) => all + of(row), 0);
  const [broken, alone] = [ANYHOP, ANYHOP_ALONE].map(({ name }) => sum((row) => row.broken[name]));
  const withdrawals = sum((row) => row.withdrawals);
  const all = ['all', '', '', '', '', '', took(report.differedMs), `${broken}`, `${alone}`, `${withdrawals}`];
  const table = columns(head, [...rows, all], new Set(head.slice(1)));
  const { opened, differedMs, changes } = report;
  const middle = (list: readonly number[]): string =>
    list.length === 0 ? '0' : took([...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]);
  const lines = [
    `Of ${opened} connections ${broken} were broken (${percent(broken / opened)}), and ${alone} without second chance (${percent(alone / opened)}).`,
    `Nodes that the router sent to had different tables for ${took(differedMs)}, ${percent(differedMs / options.endMs)} of the time.`,
    `${changes.applied} of ${amount(changes.asked, 'change')} came into force: ${middle(changes.prepareMs)} to prepare, ${middle(changes.waitMs)} to wait for others, ${middle(changes.switchMs)} to switch (medians). ` +
      `${changes.refused} times a member did not answer; nodes were left out ${amount(changes.leftOut, 'time')}.`,
    `${amount(report.died, 'connection')} died with their machines, ${report.silent} got no answer for too long.`,
    `Nodes were in ${amount(report.states, 'different state')} of a pool, for which ${amount(report.tables, 'table')} were made.`,
  ];
  return `${heading(report, options)}\n\n${table.join('\n')}\n\n${lines.join('\n')}\n`;
}

function isWorthIt({ events, differed, withdrawals, broken }: LargeRow): boolean {
  return events + differed + withdrawals > 0 || Object.values(broken).some((count) => count > 0);
}

/** For the help. */
export const FLEET_HELP = `
--fleet plays what happens to a large fleet with a store by itself, for --minutes, with the rules of real nodes and the two phases of
\`anyhop fleet apply\`: docs/fleet-simulation.md. It tells, by what is why (${KINDS.join(', ')}), for how
long nodes had different tables, and what broke.`;
