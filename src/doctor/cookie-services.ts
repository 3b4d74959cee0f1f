/** Services whose SYNs forwarders may answer with cookies, so that the backend's kernel has to take them. */
import type { ServiceConfig } from '../config/types.js';
import type { Facts } from './facts.js';

export function servicesWithCookies({ place: { config, targets }, services }: Facts): ServiceConfig[] {
  const withAgents = new Set(targets.filter(({ agent }) => agent).map(({ pool }) => pool));
  return services.filter(
    ({ name, pool }) =>
      withAgents.has(pool) && config.defend?.rules.get(name)?.synCookies?.mode === 'enforce',
  );
}
