/** What a run shows: a line for each event, what broke, and the summary line. Pure functions of the verdict. */
import type { EventResult, Verdict } from './judge.js';

const BROKEN_SHOWN = 5;

/** @param shortcomings as of proof.ts */
export function passed({ broken }: Verdict, shortcomings: readonly string[]): boolean {
  return shortcomings.length === 0 && broken.every(({ excused }) => excused);
}

export function reportText(verdict: Verdict, shortcomings: readonly string[]): string {
  const { broken, held, throughout, leastAnswers, shorts, answers, hops, sentOn } = verdict;
  const least =
    throughout === 0 ? 'none was' : `at least ${leastAnswers.toFixed(1)} a second on each that was`;
  const outside = broken.filter(({ excused }) => !excused);
  return [
    table(verdict.events),
    '',
    'At risk: open when it happened, and sent another way by it (to another backend or through another forwarder), or through',
    'what it stopped. Second hops: packets that one backend sent on to another, as the router counted them. Third hops: those of',
    'them that went on from the first alternate to the second.',
    '',
    `${held} connections were open before the first event, ${shorts} came later for a few messages; ${answers} answers, each of`,
    `them checked, ${least} open to the end. ${hops.secondHops} second hops by the`,
    `router's count, ${sentOn} by the agents' own; ${hops.thirdHops} third hops among them.`,
    ...outside
      .slice(0, BROKEN_SHOWN)
      .map(
        ({ event, kind, flow, server, why }) =>
          `broken: ${kind}, ${server ?? 'accepted by nobody'}, IPv${flow}, ${why} (${event})`,
      ),
    ...(outside.length > BROKEN_SHOWN ? [`and ${outside.length - BROKEN_SHOWN} more`] : []),
    ...shortcomings.map((text) => `not proved: ${text}`),
    '',
    summary(verdict),
  ].join('\n');
}

export function summary({ held, shorts, events, broken }: Verdict): string {
  const outside = broken.filter(({ excused }) => !excused).length;
  return `survive: ${held + shorts} connections, ${events.length} events, ${outside} broken outside the crashed backend`;
}

function table(events: readonly EventResult[]): string {
  const header = ['at', 'event', 'at risk', 'broken', 'second hops', 'third hops', 'slowest answer'];
  const rows = events.map(
    ({ atSeconds, title, atRisk, broken, excused, secondHops, thirdHops, slowestMs }) => [
      `${atSeconds.toFixed(1)} s`,
      title,
      String(atRisk),
      excused > 0 ? `${broken} (${excused} its own)` : String(broken),
      String(secondHops),
      String(thirdHops),
      `${slowestMs} ms`,
    ],
  );
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  return [header, ...rows]
    .map((row) =>
      row.map((cell, i) => (i === 1 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('   '),
    )
    .join('\n');
}
