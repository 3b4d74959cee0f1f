/** Has this host and HAProxy judge a config that is to be in force later, while no HAProxy runs. Nothing of it is left. */

import { Generations } from './generations.js';
import type { HaproxyOptions } from './haproxy.js';
import { HaproxyRefused } from './haproxy.js';
import { findIdentity } from './identity.js';
import { type HaproxyConfig, prepare } from './prepare.js';
import type { HaproxyProblem } from './problems.js';

/** @returns its warnings @throws HaproxyRefused; AnyhopError ERR_HAPROXY or ERR_TOOL when it cannot be tried */
export async function rehearse(
  { run, program = 'haproxy', user = 'haproxy' }: Omit<HaproxyOptions, 'log'>,
  config: HaproxyConfig,
): Promise<readonly HaproxyProblem[]> {
  const identity = await findIdentity(user);
  const generations = await Generations.open(run, identity);
  const prepared = await prepare(config, { generations, program, identity }, { pids: [], binds: [] });
  if (!prepared.ok) throw new HaproxyRefused(prepared.problems);
  await generations.remove(prepared.generation.number);
  return prepared.warnings;
}
