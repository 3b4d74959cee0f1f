/** What an agent and its host lack for the services of a pool: an agent may serve the backends of several pools. */
import type { AgentStatus } from '../api/status.js';
import type { ServiceConfig } from '../config/types.js';

/** @param served the services of the pool; the agent's own list of missing VIPs may have those of other pools */
export function agentFor(
  served: readonly ServiceConfig[],
  agent: AgentStatus | undefined,
): AgentStatus | undefined {
  if (agent?.reachable !== true) return agent;
  const { missingVips: missing = [], vips = [], ...others } = agent;
  const [all, tcp] = [served, served.filter(({ protocol }) => protocol === 'tcp')].map(
    (services) => new Set(services.map(({ vip }) => vip.text)),
  );
  const missingVips = missing.filter((vip) => all.has(vip));
  const known = new Set(vips);
  const unknownVips = [...tcp].filter((vip) => !known.has(vip));
  return {
    ...others,
    vips,
    ...(missingVips.length > 0 && { missingVips }),
    ...(unknownVips.length > 0 && { unknownVips }),
  };
}
