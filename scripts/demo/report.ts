/** What the demo shows at its end: who did how much, and whether that is a success. A pure function of what was counted. */
import type { EngineChoice } from '#anyhop/config/types.js';
import type { PortCounts } from '../lab/counters.js';
import type { EchoResult } from '../lab/own-traffic.js';
import type { LogEvent } from '../lab/process.js';
import type { HttpAnswer } from '../lab/requests.js';

export interface DemoCounts {
  /** What was asked for. */
  readonly engine: EngineChoice;
  readonly answers: readonly HttpAnswer[];
  /** TCP with each address of each forwarder. */
  readonly own: readonly EchoResult[];
  /** What the router counted, by port. */
  readonly router: ReadonlyMap<string, PortCounts>;
  readonly backends: readonly string[];
  /** With the log of each forwarder, its final counters included. */
  readonly forwarders: readonly { name: string; events: readonly LogEvent[] }[];
}

const NOTHING: PortCounts = { toVip: 0, syn: 0, gre: 0, fromVip: 0 };
const FAILURES_SHOWN = 5;

export function demoReport(counts: DemoCounts): { text: string; passed: boolean } {
  const { answers, router } = counts;
  const failures = answers.filter(({ backend }) => backend === null);
  const forwarders = counts.forwarders.map(({ name, events }) => ({
    name,
    requests: (router.get(name) ?? NOTHING).syn,
    packets: forwardedPackets(name, events),
    answers: (router.get(name) ?? NOTHING).fromVip,
  }));
  const backends = counts.backends.map((name) => ({
    name,
    requests: answers.filter(({ backend }) => backend === name).length,
    packets: (router.get(name) ?? NOTHING).gre,
    answers: (router.get(name) ?? NOTHING).fromVip,
  }));
  const engines = counts.forwarders.map(({ name, events }) => ({ name, ...startedEngine(name, events) }));
  const ownFailures = counts.own.flatMap(({ address, failures: texts }) =>
    texts.map((text) => `failed: TCP with ${address}: ${text}`),
  );
  const busyForwarders = forwarders.filter(({ requests, packets }) => requests > 0 && packets > 0);
  const busyBackends = backends.filter(({ requests, packets }) => requests > 0 && packets > 0);
  const text = [
    '',
    table(['forwarder', 'connections', 'packets forwarded', 'answer packets'], forwarders),
    '',
    table(['backend', 'requests answered', 'GRE packets', 'answer packets'], backends),
    '',
    'Connections (SYNs), GRE and answer packets were counted at the router, packets forwarded by the forwarders.',
    '',
    ...engines.map(({ name, text: words }) => `${name}: engine ${words}`),
    `TCP with the forwarders' own addresses meanwhile: ${sum(counts.own.map(({ echoes }) => echoes))} echoes over ` +
      `${sum(counts.own.map(({ connections }) => connections))} connections, ${ownFailures.length} failed`,
    ...ownFailures.slice(0, FAILURES_SHOWN),
    ...failures
      .slice(0, FAILURES_SHOWN)
      .map(({ host, sourcePort, error }) => `failed: from port ${sourcePort} to ${host}: ${error}`),
    '',
    `demo: ${answers.length} requests, ${failures.length} failed, ` +
      `${busyBackends.length} backends, ${busyForwarders.length} forwarders`,
  ].join('\n');
  const passed =
    failures.length === 0 &&
    busyForwarders.length === forwarders.length &&
    busyBackends.length === backends.length &&
    forwarders.every((forwarder) => forwarder.answers === 0) &&
    ownFailures.length === 0 &&
    counts.own.every(({ echoes }) => echoes > 0) &&
    engines.every(({ engine }) => counts.engine === 'auto' || engine === counts.engine);
  return { text, passed };
}

function forwardedPackets(name: string, events: readonly LogEvent[]): number {
  const last = events.findLast(({ event }) => event === 'counters');
  if (last === undefined) throw new Error(`${name} ended without its final counters`);
  return (last['verdicts'] as Readonly<Record<string, number>>)['forwarded'] ?? 0;
}

/** By the forwarder's own word. */
function startedEngine(name: string, events: readonly LogEvent[]): { engine: string; text: string } {
  const started = events.find(({ event }) => event === 'engine');
  if (started === undefined) throw new Error(`${name} did not tell its engine`);
  const { engine, mode, reason } = started as Record<string, string>;
  return { engine: engine!, text: `${[engine, mode].filter(Boolean).join(', ')} (${reason})` };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

interface Row {
  readonly name: string;
  readonly requests: number;
  readonly packets: number;
  readonly answers: number;
}

function table(header: readonly string[], rows: readonly Row[]): string {
  const cells = rows.map(({ name, requests, packets, answers }) =>
    [name, requests, packets, answers].map(String),
  );
  const widths = header.map((title, column) =>
    Math.max(title.length, ...cells.map((row) => row[column]!.length)),
  );
  return [header, ...cells]
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join('   '),
    )
    .join('\n');
}
