/** The differences between two nodes, as text. */

import { amount, percent } from '../core/figures.js';
import type { Difference, NodeDiff, PoolDiff, SlotDiff } from '../node/diff.js';
import { columns } from './format.js';

/** Of one pool; nobody reads a thousand. */
const DIFFERENCES_SHOWN = 20;

/** @param nodes names for the two, if their own names are the same */
export function drawDiff(
  { same, sameKey, flowHashVersions, services, pools }: NodeDiff,
  nodes: readonly [string, string],
): string {
  const different = pools.filter((pool) => !pool.same);
  const head = same
    ? `${nodes[0]} and ${nodes[1]} send every flow to the same backend`
    : `${nodes[0]} and ${nodes[1]} differ`;
  const agreed = pools.length - different.length;
  const rest = agreed === 0 ? [] : [`${amount(agreed, 'pool')} with the same digests`];
  const [hashA, hashB] = flowHashVersions;
  const why = [
    ...(sameKey ? [] : ['their keys differ: they hash flows differently']),
    ...(hashA === hashB
      ? []
      : [`their flow hashes differ (versions ${hashA} and ${hashB}): nearly every flow has another backend`]),
  ];
  const parts = [
    [head, ...why, ...rest],
    ...(services.length === 0 ? [] : [['services', ...drawDifferences(services, nodes)]]),
    ...different.map((pool) => drawPool(pool, nodes)),
  ];
  return parts.map((lines) => `${lines.join('\n')}\n`).join('\n');
}

function drawPool(
  { pool, digests, differences, slots, reproduced }: PoolDiff,
  nodes: readonly [string, string],
): string[] {
  const agree = (what: boolean): string => (what ? 'agree' : 'differ');
  const title =
    digests === undefined
      ? `pool ${pool}`
      : `pool ${pool}: owners ${agree(digests.owners)}, alternates ${agree(digests.alternates)}`;
  const notes = nodes
    .filter((_, i) => reproduced?.[i] === false)
    .map(
      (node) =>
        `  The digest of ${node} does not match its status: it is changing, or it runs another version.`,
    );
  return [
    title,
    ...drawDifferences(differences, nodes),
    ...(slots === undefined ? [] : drawSlots(slots, nodes)),
    ...notes,
  ];
}

function drawDifferences(differences: readonly Difference[], nodes: readonly [string, string]): string[] {
  if (differences.length === 0) return [];
  const shown = differences.slice(0, DIFFERENCES_SHOWN);
  const rows = shown.map(({ of = '', what, values }) => [of, what, ...values.map((value) => value ?? '-')]);
  const more = differences.length - shown.length;
  return [
    ...columns(['NAME', 'WHAT', ...nodes], rows).map((line) => `  ${line}`),
    ...(more > 0 ? [`  and ${amount(more, 'difference')} more (--json has all)`] : []),
  ];
}

function drawSlots({ owners, lost }: SlotDiff, [a, b]: readonly [string, string]): string[] {
  if (owners.slots === 0) return ['  The owner of every slot is the same.'];
  const count = ({ slots, share }: SlotDiff['owners']): string =>
    `${amount(slots, 'slot')} (${percent(share)})`;
  return [
    `  The owner differs in ${count(owners)}.`,
    `  Connections of ${a} would break on ${b} in ${count(lost[0])}, even with second chance;`,
    `  those of ${b} would break on ${a} in ${count(lost[1])}.`,
  ];
}
