/** What a change would do to the pools: to their members now, to what waits, and to the connections that it puts at risk. */
import { ControlError, type PlanReport } from '../api/api.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { effects } from '../pool/effects.js';
import type { Membership } from '../pool/membership.js';
import type { BackendFacts } from '../pool/states.js';
import { planOf, reportOf, riskOfForce } from './change-reports.js';
import type { ChangeRequest, NodePools } from './node-pools.js';
import { forgotten, queuedStatus } from './pool-status.js';

/**
 * @param request the change, with or without force
 * @throws ControlError 429 when a queue is full
 */
export function planPools(
  pools: NodePools,
  factsOf: (pool: string) => BackendFacts,
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
export function preview(pools: NodePools, request: ChangeRequest): Membership {
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
