/** The effects of a change, as text: of two config files, or of a node's file and what is in force there. */

import type { PlanReport } from '../api/api.js';
import { amount, percent } from '../core/figures.js';
import { clockTime, formatDuration } from '../core/time.js';
import type { FlowPlan, PoolPlan, SlotCount } from '../pool/plan.js';
import type { Evenness } from '../table/evenness.js';
import { drawEffect, drawQueued } from './change-text.js';
import type { FilePoolReport, FileReport } from './file-plan.js';
import { labelled, someOf } from './format.js';

type NodePoolPlan = PlanReport['pools'][number];
type Row = readonly [label: string, value: string];

export function drawFilePlan({ pools, services }: FileReport): string {
  const parts = pools.map(drawFilePool);
  if (services.length > 0) parts.push(`services\n${indented(services)}`);
  return parts.join('\n');
}

/** For a node: what its config file, or a runtime command, would change. */
export function drawNodePlan(report: PlanReport, now = new Date()): string {
  const { of, file, pools, changes, warnings } = report;
  const isNews = ({ effect, takenBack, plan }: NodePoolPlan): boolean =>
    effect !== 'unchanged' || takenBack !== undefined || plan !== undefined;
  const same = pools.filter((pool) => !isNews(pool));
  const parts = pools.filter(isNews).map((pool) => drawNodePool(pool, now));
  if (changes.length > 0) parts.push(`outside the pools\n${indented(changes)}`);
  if (warnings.length > 0) parts.push(`warnings\n${indented(warnings)}`);
  const what = file === undefined ? of : `${file}: a ${of}`;
  if (parts.length === 0) return `${what} would change nothing\n`;
  if (same.length > 0) parts.push(`unchanged: ${someOf(same.map(({ pool }) => pool))}\n`);
  return `${what} would change this\n\n${parts.join('\n')}`;
}

function drawNodePool(report: NodePoolPlan, now: Date): string {
  const { pool, effect, changes, plan, withoutSecondChance = [], atRiskByForce } = report;
  const { forceBrings = [], takenBack = [], forgottenUntil } = report;
  if (effect === 'added') return `pool ${pool}: added; it has no flows yet.\n`;
  if (effect === 'removed') return `pool ${pool}: removed; its flows end.\n`;
  const rows: Row[] = [];
  if (changes.length > 0) rows.push(['changes', changes.join('; ')]);
  if (plan !== undefined) {
    const until = (at: string | undefined): string =>
      at === undefined ? 'before' : `until ${clockTime(at, now)}`;
    rows.push(...planRows(plan, ({ born, bornUntil }) => (born === 'in_force' ? 'since' : until(bornUntil))));
  }
  for (const { bornUntil, share } of youngest(atRiskByForce, (one) => one.share)) {
    const age = bornUntil === undefined ? 'younger ones' : `those born until ${clockTime(bornUntil, now)}`;
    rows.push(['--force', `${percent(share)} of ${age} break even with second chance`]);
  }
  if (forgottenUntil !== undefined)
    rows.push([
      'forgotten',
      `some states until ${clockTime(forgottenUntil, now)}; flows of that time are not counted`,
    ]);
  for (const step of forceBrings) rows.push(['--force', `a reload also applies ${drawQueued(step)}`]);
  for (const step of takenBack) rows.push(['no longer waits', drawQueued(step)]);
  const end = plan === undefined ? '' : `${sentence(pool, plan, withoutSecondChance)}\n`;
  const isAtOnce = effect === 'in_force' || (effect === 'unchanged' && plan !== undefined);
  const when = isAtOnce ? 'at once' : effect === 'unchanged' ? 'stays' : drawEffect(report, now);
  return `pool ${pool}: ${when}\n${labelled(rows)}${end}`;
}

function drawFilePool({ pool, status, changes, services, plan }: FilePoolReport): string {
  if (status === 'added') return `pool ${pool}: added; it has no flows yet.\n`;
  if (plan === undefined) return `pool ${pool}: removed; its flows end.\n`;
  const [before, after] = plan.slots;
  const slots = before === after ? `${after} slots` : `${before} -> ${after} slots`;
  const rows: Row[] = changes.length > 0 ? [['changes', changes.join('; ')]] : [];
  const off = services.filter((service) => service.protocol === 'tcp' && !service.secondChance);
  const end =
    status === 'same' && isStill(plan)
      ? `Pool ${pool} stays as it is.`
      : sentence(
          pool,
          plan,
          off.map(({ name }) => name),
        );
  return `pool ${pool}: ${slots}\n${labelled([...rows, ...planRows(plan, ({ born }) => (born === 'in_force' ? 'since OLD' : 'before OLD'))])}${end}\n`;
}

/** Of ages that follow each other with the same numbers, the youngest: what is said of it is true of all of them. */
function youngest<T>(ages: readonly T[], numbers: (age: T) => number | string): T[] {
  return ages.filter((age, i) => i === ages.length - 1 || numbers(age) !== numbers(ages[i + 1]));
}

/** @param when flows of an age were born */
function planRows(plan: PoolPlan, when: (age: FlowPlan) => string): Row[] {
  const { moved, unavoidable, collateral, flows, draining, evenness, mode } = plan;
  const rows: Row[] = [
    ['slots moved', slotCount(moved)],
    ['unavoidable', slotCount(unavoidable)],
    ['collateral', slotCount(collateral)],
  ];
  const ages = youngest(flows, (age) =>
    [age.tcpBreakWithoutSecondChance, age.tcpBreakWithSecondChance, age.tcpBreakOnceSettled].join(),
  );
  for (const age of ages) {
    rows.push(...flowRows(age, plan.settleMs, ages.length > 1 ? `, born ${when(age)}` : ''));
  }
  if (draining !== undefined) {
    const share = percent(draining.tcpBreakWithSecondChance);
    rows.push([
      'TCP, on draining',
      `${share} of the flows left on ${someOf(draining.backends)} break with second chance`,
    ]);
  }
  for (const [i, when] of ['before', 'after'].entries()) {
    rows.push([`evenness ${when}`, drawEvenness(evenness[i])]);
    if (mode[i] !== 'normal') rows.push([`mode ${when}`, mode[i].replace('_', ' ')]);
  }
  return rows;
}

function slotCount({ slots, share }: SlotCount): string {
  return `${amount(slots, 'slot')} (${percent(share)})`;
}

function flowRows(flows: FlowPlan, settleMs: number, age: string): Row[] {
  const kept = percent(flows.tcpBreakWithSecondChance);
  const lost = percent(flows.tcpBreakWithoutSecondChance);
  const old = percent(flows.tcpBreakOnceSettled);
  return [
    [`TCP${age}`, `${kept} of flows break with second chance, ${lost} without`],
    [
      `TCP${age}, long`,
      `${old} of those that live on for longer than settle_time (${formatDuration(settleMs)}) break`,
    ],
    [`UDP${age}`, `${percent(flows.udpMove)} of flows move; UDP has no second chance`],
  ];
}

function drawEvenness(even: Evenness | undefined): string {
  if (even === undefined) return 'no backend owns a slot';
  const { maxOverMean, maxOverShare, cv, idle } = even;
  const nothing = idle.length === 0 ? '' : `; no slot: ${someOf(idle)}`;
  return (
    `max/mean ${maxOverMean.toFixed(4)}, busiest ${maxOverShare.toFixed(4)} of its share, variation ${cv.toFixed(4)}` +
    nothing
  );
}

/** No flow of the pool changes backends. */
function isStill({ moved, flows, draining }: PoolPlan): boolean {
  const keepsDraining = draining === undefined || draining.tcpBreakWithSecondChance === 0;
  return moved.share === 0 && keepsDraining && flows.every((age) => age.tcpBreakWithoutSecondChance === 0);
}

/** @param off TCP services of the pool without second chance */
function sentence(pool: string, plan: PoolPlan, off: readonly string[]): string {
  if (isStill(plan)) return `No flow of pool ${pool} moves.`;
  const { moved, collateral, flows, draining, settleMs } = plan;
  const without = flows.reduce((most, age) => Math.max(most, age.tcpBreakWithoutSecondChance), 0);
  const broken = flows.reduce((most, age) => Math.max(most, age.tcpBreakWithSecondChance), 0);
  const need =
    collateral.share === 0 ? 'all of them unavoidably' : `${percent(collateral.share)} without need`;
  const what = moved.share === 0 ? 'No slot moves' : `${percent(moved.share)} of the slots move, ${need}`;
  const old = flows.reduce((most, age) => Math.max(most, age.tcpBreakOnceSettled), 0);
  const long = `${percent(old)} of those that live on for longer than settle_time (${formatDuration(settleMs)})`;
  const promise =
    broken > 0
      ? `up to ${percent(broken)} of TCP flows break even with second chance, and ${long}`
      : old === 0
        ? 'no TCP flow breaks where second chance is on'
        : `where second chance is on, no TCP flow breaks that is over within settle_time (${formatDuration(settleMs)}), and ` +
          `${percent(old)} of those do that live on for longer`;
  const left =
    draining === undefined || draining.tcpBreakWithSecondChance === 0
      ? ''
      : ` Of the flows left on ${someOf(draining.backends)}, which ${draining.backends.length === 1 ? 'drains' : 'drain'}, ` +
        `${percent(draining.tcpBreakWithSecondChance)} break, unless the drain is done first: a node waits for that.`;
  const warning = off.length === 0 ? '' : ` It is off for ${someOf(off)}: ${percent(without)} break there.`;
  return `${what}; ${promise}.${left}${warning}`;
}

function indented(lines: readonly string[]): string {
  return lines.map((line) => `  ${line}\n`).join('');
}
