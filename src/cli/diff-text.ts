/** What two nodes see differently, for people. */
import type { Difference, NodeDiff, PoolDiff, SlotDiff } from '../node/diff.js';
import { amount, columns, percent } from './format.js';

/** Of one pool; a prior state of a thousand backends is no help to anybody. */
const DIFFERENCES_SHOWN = 20;

/** @param nodes what the two are called, when their own names do not tell them apart */
export function drawDiff(
  { same, sameKey, services, pools }: NodeDiff,
  nodes: readonly [string, string],
): string {
  const different = pools.filter((pool) => !pool.same);
  const head = same
    ? `${nodes[0]} and ${nodes[1]} send every flow to the same backend`
    : `${nodes[0]} and ${nodes[1]} differ`;
  const agreed = pools.length - different.length;
  const rest = agreed === 0 ? [] : [`${amount(agreed, 'pool')} with the same digests`];
  const parts = [
    [head, ...(sameKey ? [] : ['their keys are different: each hashes every flow in its own way']), ...rest],
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
        `  ${node} tells another digest than its status leads to: it is changing, or another version runs there.`,
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
    `  Of ${a}'s connections, ${b} would break those in ${count(lost[0])}, second chance or not;`,
    `  of ${b}'s connections, ${a} would break those in ${count(lost[1])}.`,
  ];
}
