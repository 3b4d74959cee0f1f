/** What a run shows: a line for each flood, what failed, and the last line. Pure functions of the verdicts. */
import { columns } from '#anyhop/cli/format.js';
import { short } from '#anyhop/core/figures.js';
import type { Verdict } from './judge.js';

const FAILURES_SHOWN = 5;
const HEAD = [
  'flood',
  'packets/s',
  'absorbed',
  'sent on',
  'new connections',
  'failed',
  'handshake: half',
  '99 %',
  'half-open',
];

export function reportText(verdict: Verdict): string {
  const { defended, floods, failures, kernelCookies, shortcomings } = verdict;
  const rows = floods.map((each) => [
    each.title,
    short(each.packetsPerSecond),
    short(each.absorbed),
    short(each.passed),
    String(each.begun),
    String(each.failed),
    each.handshakeMs === undefined ? '-' : `${each.handshakeMs.half} ms`,
    each.handshakeMs === undefined ? '-' : `${each.handshakeMs.most} ms`,
    String(each.halfOpen),
  ]);
  return [
    ...columns(HEAD, rows, new Set(HEAD.slice(1))),
    '',
    `SYNs that backends' kernels answered with cookies of their own: ${kernelCookies}`,
    ...failures.slice(0, FAILURES_SHOWN).map(({ why, count }) => `failed: ${count} x ${why}`),
    ...shortcomings.map((text) => `${defended ? 'no success' : 'without defence'}: ${text}`),
  ].join('\n');
}

/** @param verdict of the part that counts */
export function summary({ defended, connections, failed, absorbed }: Verdict): string {
  const million = (absorbed / 1e6).toFixed(absorbed < 1e7 ? 1 : 0);
  return (
    `demo-flood: ${connections} real connections, ${failed} failed, ${million} million packets absorbed` +
    (defended ? '' : ' (defence off)')
  );
}
