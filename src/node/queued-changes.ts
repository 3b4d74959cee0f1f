/** What is asked of a change that waits: to be dropped, or to come now. */
import type { ChangeReport } from '../api/api.js';
import type { PoolConfig } from '../config/types.js';
import { describeMembers } from '../pool/describe-change.js';
import { askedByAgents, bringForward, cancel, findQueued } from '../pool/runtime.js';
import { type ActionParts, change, started } from './action-parts.js';
import { stepOfAgents } from './agent-refusals.js';
import { alone, queuedReport } from './change-reports.js';
import { noChange } from './named.js';
import type { ChangeRequest } from './surroundings.js';

/** @throws ControlError 404 for an id that no change that waits has, 409 for one that agents ask for */
export async function cancelQueued(parts: ActionParts, id: string): Promise<ChangeReport> {
  const { edits, pools, file } = parts;
  let fromFile = false;
  const report = await changeQueued(parts, id, (before, at) => {
    const asked = askedByAgents(before, id);
    if (asked.length > 0) throw stepOfAgents(id, asked);
    const after = cancel(before, id, at);
    fromFile = [...after].some(
      ([name, { file }]) => file !== before.get(name)!.file && !sameMembers(file, before.get(name)!.file),
    );
    return after;
  });
  if (!fromFile || (await edits?.forgetUnlike(pools.file.pools))) return report;
  const warning = `${file.status.file} still says it: the next reload or restart plans it again`;
  return { ...report, warnings: [...report.warnings, warning] };
}

/** @throws ControlError 404 for an id that no change that waits has */
export function forceQueued(parts: ActionParts, id: string): Promise<ChangeReport> {
  return changeQueued(parts, id, (before, at) => bringForward(before, id, at));
}

async function changeQueued(
  parts: ActionParts,
  id: string,
  next: ChangeRequest['next'],
): Promise<ChangeReport> {
  started(parts);
  const { pools } = parts;
  let pool = '';
  const report = await change(parts, () => {
    const found = findQueued(pools.pools, id);
    if (found === undefined) {
      const ids = queuedReport(pools.pools).changes.map((one) => one.id);
      throw noChange(id, ids);
    }
    pool = found.pool;
    return { file: pools.file, next };
  });
  return { ...report, pools: report.pools.filter((each) => each.pool === pool).map(alone) };
}

function sameMembers(one: PoolConfig, other: PoolConfig): boolean {
  return describeMembers(one.backends, other.backends).length === 0;
}
