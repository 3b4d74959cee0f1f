/** What a run shows: a line for each event, what broke, and the last line. Pure functions of the verdict. */
import { columns } from '#anyhop/cli/format.js';
import { endOfReport, trafficFaults } from '../survive/between-events.js';
import type { Verdict } from './judge.js';

/** What the traffic was to be. */
export interface Expected {
  readonly held: number;
}

/** Why the run is no success, or proves less than it should; empty when it is one. */
export function shortcomings(
  { events, broken, held, shorts, forwarded }: Verdict,
  expected: Expected,
): string[] {
  return [
    ...(events.length === 0 ? ['nothing happened'] : []),
    ...(held === expected.held ? [] : [`${held} connections were open throughout, and not ${expected.held}`]),
    ...(shorts === 0 ? ['there were no new connections'] : []),
    ...trafficFaults(broken, forwarded),
    ...events.flatMap(({ title, fib, asExpected }) =>
      asExpected ? [] : [`${title}: the router's table ${fib}`],
    ),
  ];
}

export function reportText(verdict: Verdict, expected: Expected): string {
  const head = ['at', 'event', "the router's table", 'requests lost', 'connections lost', 'slowest answer'];
  const rows = verdict.events.map((event) => [
    `${event.atSeconds.toFixed(1)} s`,
    event.title,
    event.fib,
    String(event.requestsLost),
    String(event.connectionsLost),
    `${event.slowestMs} ms`,
  ]);
  return [
    ...columns(head, rows, new Set(head.filter((_, i) => i !== 1 && i !== 2))),
    '',
    'Lost is what got no right answer within 10 s, was reset or ended. TCP sends again what a change takes along: that is the slowest answer.',
    ...endOfReport(verdict.broken, shortcomings(verdict, expected), summary(verdict)),
  ].join('\n');
}

export function summary({ events, held, shorts, answers, broken }: Verdict): string {
  const slowestMs = Math.max(0, ...events.map((event) => event.slowestMs));
  return (
    `demo-ha: ${events.length} events, ${held + shorts} connections, ${broken.length} broken, ` +
    `${answers} answers, the slowest took ${slowestMs} ms`
  );
}
