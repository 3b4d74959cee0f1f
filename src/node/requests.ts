/** The changes that can be asked of a node, as what they make of its pools. */
import type { BackendTarget } from '../api/api.js';
import { idleBackends } from '../config/idle.js';
import { keyFingerprint } from '../config/key-fingerprint.js';
import type { LoadedConfig } from '../config/types.js';
import type { AgentWords } from '../pool/agent-drain.js';
import { type Membership, take } from '../pool/membership.js';
import type { OverridePatch } from '../pool/override.js';
import { renamedPools } from '../pool/renames.js';
import { hear, say } from '../pool/runtime.js';
import { goesOnDraining } from './agent-refusals.js';
import type { ChangeRequest } from './surroundings.js';

/** What a file says; with `force` all that waits comes with it. */
export function reloadTo(was: LoadedConfig<'run'>, file: LoadedConfig<'run'>, force: boolean): ChangeRequest {
  const renamed = renamedPools(was, file);
  const keyId = keyFingerprint(file.node.key.reveal());
  return { file, next: (before, at) => take(before, file.pools, { ...at, force, renamed, keyId }) };
}

/** What is said of one backend at runtime. @param names of the pools that have it */
export function saying(
  file: LoadedConfig<'run'>,
  names: readonly string[],
  { backend }: BackendTarget,
  patch: OverridePatch,
  force: boolean,
): ChangeRequest {
  return {
    file,
    next: (before, at) =>
      names.reduce((all, name) => say(all, name, backend, patch, { ...at, force }), before),
  };
}

/** What agents ask for. */
export function hearing(file: LoadedConfig<'run'>, words: AgentWords): ChangeRequest {
  return { file, next: (before, at) => hear(before, words, at), why: 'agents say so' };
}

/** In words: `drain`, `weight 3 of`. */
export function wordOf({ state, weight }: OverridePatch): string {
  if (weight !== undefined) return `weight ${weight} of`;
  return state === 'draining' ? 'drain' : 'undrain';
}

/** What an operator should know of what was said of one backend. */
export function warningsAfter(
  names: readonly string[],
  { backend }: BackendTarget,
  patch: OverridePatch,
  pools: Membership,
): string[] {
  return [...goesOnDraining(names, backend, patch, pools), ...idleAfter(names, pools)];
}

/** Which backends of these pools get no flows once all that waits is in force, although the pool has them. */
function idleAfter(names: readonly string[], pools: Membership): string[] {
  return names.flatMap((name) => {
    const { changes, file } = pools.get(name)!;
    const members = changes.queue.at(-1)?.members ?? changes.members;
    return idleBackends(members, file.tableSize).map((idle) => `pool ${name}: ${idle}`);
  });
}
