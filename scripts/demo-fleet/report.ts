/** What a run shows: a line for each event, what broke, and the last line. Pure functions of the verdict. */
import { columns } from '#anyhop/cli/format.js';
import { endOfReport, trafficFaults } from '../survive/between-events.js';
import type { Verdict } from './judge.js';

/** What the run was to be. */
export interface Expected {
  readonly events: number;
  /** Connections at a time. */
  readonly open: number;
}

/** A busy machine has fewer now and then. */
const ENOUGH = 0.8;

/** Why the run is no success, or proves less than it should; empty when it is one. */
export function shortcomings({ events, broken, open, forwarded }: Verdict, expected: Expected): string[] {
  return [
    ...(events.length === expected.events
      ? []
      : [`${events.length} events happened, and not ${expected.events}`]),
    ...(open >= ENOUGH * expected.open
      ? []
      : [`${open} connections were open at a time, and not ${expected.open}`]),
    ...trafficFaults(broken, forwarded),
    ...events.flatMap(({ title, fault }) => (fault === undefined ? [] : [`${title}: ${fault}`])),
  ];
}

export function reportText(verdict: Verdict, expected: Expected): string {
  const head = ['at', 'took', 'event', 'what came of it', 'same tables', 'broken', 'slowest answer'];
  const rows = verdict.events.map((event) => [
    `${event.atSeconds.toFixed(1)} s`,
    `${event.tookSeconds.toFixed(1)} s`,
    event.title,
    event.text,
    event.equal ? 'yes' : 'no',
    String(event.broken),
    `${event.slowestMs} ms`,
  ]);
  const { connections, open, answers, falseDowns } = verdict;
  return [
    ...columns(head, rows, new Set(['at', 'took', 'broken', 'slowest answer'])),
    '',
    `${connections} connections, ${open} of them at a time; ${answers} answers, each of them checked.`,
    'Same tables: all nodes said the same digest of the owners of all slots afterwards.',
    ...(falseDowns === 0 ? [] : [tooBusy(falseDowns)]),
    ...endOfReport(verdict.broken, shortcomings(verdict, expected), summary(verdict)),
  ].join('\n');
}

/** Each is a change of health that the fleet has not agreed on, beside those that are planned. */
function tooBusy(falseDowns: number): string {
  const times = falseDowns === 1 ? 'Once' : `${falseDowns} times`;
  return `${times} a node took a backend for down, and none was: this machine was too busy to answer checks in time.`;
}

export function summary({ changes, broken, equal }: Verdict): string {
  return `demo-fleet: ${changes} changes, ${broken.length} broken, digests equal ${equal} times`;
}
