/** `anyhop announce --status` as people read it. */
import type { AnnounceStatus, Heard, HeldBy, VipStatus } from '../announce/status.js';
import { ROUTE_TABLE_MAIN } from '../core/limits.js';
import { listed } from '../core/listed.js';
import { printable, printableLines } from '../core/printable.js';
import { clockTime } from '../core/time.js';
import { columns } from './format.js';

const HEARD: Readonly<Record<Heard, string>> = {
  asked: 'is asked',
  starting: 'starts',
  serving: 'serves',
  stopping: 'stops',
  left: 'has ended',
  silent: 'is silent',
  gone: 'does not answer',
};

export function drawAnnounceStatus(status: AnnounceStatus): string {
  // Whatever answers there: what should be a number may be a text that a terminal would obey.
  return printableLines(`${[...announceHead(status), ...vipLines(status.vips)].join('\n')}\n`);
}

/** In lines: what is heard of the node, and what keeps VIPs announced or withdrawn as a whole. */
function announceHead(status: AnnounceStatus): string[] {
  const { node, version, pid, table, heard, orphan, held, trackFile } = status;
  const why =
    heard.reasons.length === 0 ? '' : `: ${heard.reasons.map((reason) => printable(reason)).join('; ')}`;
  const state = HEARD[heard.state] ?? String(heard.state);
  return [
    `announcer of node ${printable(node)}, anyhop ${printable(version)}, process ${pid}, table ${table === ROUTE_TABLE_MAIN ? 'main' : table}`,
    `the node ${printable(state)} since ${clockTime(heard.since)}${why}`,
    ...(orphan
      ? [
          `the kernel forwards without a process that serves, since ${clockTime(orphan.since)}; rows stay until ${clockTime(orphan.until)} at most`,
        ]
      : []),
    ...(held ? [(HELD[held.by] ?? HELD.withdraw)(clockTime(held.since))] : []),
    ...(trackFile && heard.state !== 'asked'
      ? [`keepalived is told ${trackFile.number} by ${printable(trackFile.file)}`]
      : []),
  ];
}

const HELD: Readonly<Record<HeldBy, (since: string) => string>> = {
  withdraw: (since) =>
    `held back by "anyhop announce --withdraw" since ${since}; "anyhop announce --resume" ends it`,
  stop: (since) => `held back by "anyhop stop" since ${since}, until the node serves again`,
};

function vipLines(vips: readonly VipStatus[]): string[] {
  if (vips.length === 0)
    return ['it announces no VIP: see services, announce.vips and announce.regions in the config'];
  return columns(
    ['VIP', 'STATE', 'SINCE', 'METRIC', 'REASON'],
    vips.map((vip) => [vip.vip, vip.state, clockTime(vip.since), String(vip.metric ?? '-'), reasonText(vip)]),
    new Set(['METRIC']),
  );
}

function reasonText({ state, reason, notReady = [] }: VipStatus): string {
  if (state === 'withdrawn' || notReady.length === 0) return reason;
  return `${reason}, but not ${listed(notReady.map(({ name, reason: why }) => `${name} (${why})`))}`;
}
