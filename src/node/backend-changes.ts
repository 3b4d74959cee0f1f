/** What is asked of one backend of a running node: that it drains, no longer drains, has another weight, joins, or leaves. */
import type { BackendTarget, ChangeOptions, ChangeReport, MemberEdit, PlanReport } from '../api/api.js';
import type { OverridePatch } from '../pool/override.js';
import { type ActionParts, change, started } from './action-parts.js';
import { refuseUndrain } from './agent-refusals.js';
import { alone } from './change-reports.js';
import type { ReadConfig } from './config-file.js';
import { editing, editWarnings, isActive } from './editing.js';
import { poolsNamed } from './named.js';
import { planReload, planSaying } from './plans.js';
import { reloadTo, saying, warningsAfter } from './requests.js';

/** @throws ControlError when it is refused; what was in force stays */
export async function sayOfBackend(
  parts: ActionParts,
  target: BackendTarget,
  patch: OverridePatch,
  { force }: ChangeOptions,
): Promise<ChangeReport> {
  started(parts);
  const { pools } = parts;
  let names: readonly string[] = [];
  const report = await change(parts, () => {
    names = poolsNamed(target, pools.file.pools);
    if (patch.state === 'active') refuseUndrain(names, target.backend, pools.pools);
    return saying(pools.file, names, target, patch, force);
  });
  return {
    ...report,
    pools: report.pools.filter(({ pool }) => names.includes(pool)).map(alone),
    warnings: [...report.warnings, ...warningsAfter(names, target, patch, pools.pools)],
  };
}

/** What that would do; changes nothing. @throws as it would */
export function planOfBackend(
  parts: ActionParts,
  target: BackendTarget,
  patch: OverridePatch,
  { force }: ChangeOptions,
): PlanReport {
  started(parts);
  return planSaying(parts.pools, parts.facts, target, patch, force);
}

/** Adds a backend, or drains and removes one. @throws ControlError when it is refused; what was in force stays */
export async function editBackend(
  parts: ActionParts,
  edit: MemberEdit,
  { force }: ChangeOptions,
): Promise<ChangeReport> {
  started(parts);
  const { pools, file, edits, accepted } = parts;
  const asked = editing(edits, pools.file.pools, edit);
  file.read(pools.file.node, asked.read); // refused before anything drains
  const drained = asked.leaves && !force ? await drainFirst(parts, asked.leaves) : undefined;
  if (drained !== undefined) return drained;
  const was = pools.file;
  let read: ReadConfig | undefined;
  const report = await change(parts, () => {
    read = file.readToReload(pools.file, pools.served(), force, asked.read);
    return { ...reloadTo(pools.file, read.config, force), why: asked.words };
  });
  await edits?.accepted(read!);
  await accepted(read!, force);
  const warnings = [...report.warnings, ...editWarnings(edit, was, read!.config)];
  return { ...report, pools: report.pools.filter(asked.concerns), warnings };
}

/** What that would do; changes nothing. @throws as it would */
export function planEdit(parts: ActionParts, edit: MemberEdit, { force }: ChangeOptions): PlanReport {
  started(parts);
  const { pools, facts, file, edits } = parts;
  const asked = editing(edits, pools.file.pools, edit);
  const { config } = file.read(pools.file.node, asked.read);
  if (asked.leaves && !force && isActive(asked.leaves, pools.pools))
    return planSaying(pools, facts, asked.leaves, { state: 'draining' }, false);
  const { file: _, ...plan } = planReload(pools, facts, config);
  return { ...plan, of: asked.words, pools: plan.pools.filter(asked.concerns) };
}

/** Who is to leave drains first. @returns the answer when that has to wait, and so the removal cannot be asked for yet */
async function drainFirst(parts: ActionParts, target: BackendTarget): Promise<ChangeReport | undefined> {
  if (!isActive(target, parts.pools.pools)) return undefined;
  const report = await sayOfBackend(parts, target, { state: 'draining' }, { force: false });
  if (!isActive(target, parts.pools.pools)) return undefined;
  const later = `${target.backend} is not removed: its drain waits; remove it again when it drains`;
  return { ...report, warnings: [...report.warnings, later] };
}
