/** What a change would do to the pools: to their members now, to what waits, and to the connections that it puts at risk. */
import { type BackendTarget, ControlError, type PlanReport } from '../api/api.js';
import { formatProblem } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { effects } from '../pool/effects.js';
import type { Membership } from '../pool/membership.js';
import type { OverridePatch } from '../pool/override.js';
import type { BackendFacts } from '../pool/states.js';
import { refuseUndrain } from './agent-refusals.js';
import { losses, planOf, reportOf, riskOfForce, settingsChanges } from './change-reports.js';
import { poolsNamed } from './named.js';
import type { NodePools } from './node-pools.js';
import { forgotten, queuedStatus } from './pool-status.js';
import { reloadTo, saying, warningsAfter, wordOf } from './requests.js';
import type { ChangeRequest } from './surroundings.js';
import { takenIds } from './taken-ids.js';

type Facts = (pool: string) => BackendFacts;

/** What a reload would do. @param config what the file says now. @throws ControlError 429 when a queue is full */
export function planReload(pools: NodePools, factsOf: Facts, config: LoadedConfig<'run'>): PlanReport {
  const was = pools.file;
  return {
    of: 'reload',
    file: config.file,
    pools: planPools(pools, factsOf, (force) => reloadTo(was, config, force), config),
    changes: settingsChanges(was, config),
    warnings: [
      ...config.warnings.map(formatProblem),
      ...losses(was, config).map((loss) => `${loss}; a reload takes it with --force only`),
      ...takenIds(pools.served(), config).map((taken) => `${taken}; a reload refuses it`),
    ],
  };
}

/** What saying this of one backend would do. @throws ControlError when it is refused, as the change itself would be */
export function planSaying(
  pools: NodePools,
  factsOf: Facts,
  target: BackendTarget,
  patch: OverridePatch,
  force: boolean,
): PlanReport {
  const { file } = pools;
  const names = poolsNamed(target, file.pools);
  if (patch.state === 'active') refuseUndrain(names, target.backend, pools.pools);
  const request = (isForced: boolean): ChangeRequest => saying(file, names, target, patch, isForced || force);
  return {
    of: `${wordOf(patch)} ${target.backend}`,
    pools: planPools(pools, factsOf, request, file).filter(({ pool }) => names.includes(pool)),
    changes: [],
    warnings: warningsAfter(names, target, patch, preview(pools, request(false))),
  };
}

/**
 * @param request the change, with or without force
 * @throws ControlError 429 when a queue is full
 */
function planPools(
  pools: NodePools,
  factsOf: Facts,
  request: (force: boolean) => ChangeRequest,
  { services }: LoadedConfig<'run'>,
): PlanReport['pools'] {
  const before = pools.pools;
  const [after, forced] = [false, true].map((force) => preview(pools, request(force)));
  const brought = new Map(effects(before, forced).map(({ pool, came }) => [pool, came]));
  return effects(before, after).map((effect) => {
    const { pool } = effect;
    const facts = factsOf(pool);
    const isQueued = effect.effect === 'queued';
    const others = brought.get(pool)!.filter(({ id }) => id !== effect.step?.id);
    return {
      ...reportOf(effect),
      ...planOf(effect, before, after, facts),
      withoutSecondChance: services.flatMap(({ name, pool: of, protocol, secondChance }) =>
        of === pool && protocol === 'tcp' && !secondChance ? [name] : [],
      ),
      ...forgotten(after.get(pool)?.changes),
      ...(isQueued && others.length > 0 && { forceBrings: others.map(queuedStatus) }),
      atRiskByForce: isQueued ? riskOfForce(pool, before, forced, facts) : [],
    };
  });
}

/** What a change would make of the pools. @throws ControlError 429 when a queue is full */
function preview(pools: NodePools, request: ChangeRequest): Membership {
  try {
    return pools.preview(request);
  } catch (error) {
    throw refusal(error);
  }
}

/** Why a change is not possible, as an answer. */
export function refusal(error: unknown): unknown {
  if (!(error instanceof AnyhopError)) return error;
  const { code, message, hint } = error;
  return new ControlError(code === 'ERR_LIMIT' ? 429 : 409, code, message, { hint });
}
