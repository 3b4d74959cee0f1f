/** What a config needs of its host, for the checks that HAProxy does not make. */
import type { L7Bind, L7Config } from '../config/l7/types.js';
import type { FieldPath } from '../config/path.js';
import { L7_CONNECTIONS_DEFAULT } from '../core/limits.js';
import { descriptorFacts } from './haproxy/host-facts.js';
import { type Bind, connectionsFor, type Needs } from './haproxy/limits.js';

export function needsOf(config: L7Config): Needs {
  const { maxConnections: value = L7_CONNECTIONS_DEFAULT } = config;
  return { ...listens(config), connections: { value, at: ['l7', 'max_connections'] } };
}

/** The config with a number of connections that this host's limit of open files allows, unless the config has its own. */
export function fittedToHost(config: L7Config): L7Config {
  if (config.maxConnections !== undefined) return config;
  const { descriptorsMax, cpus } = descriptorFacts();
  const most = connectionsFor(descriptorsMax, listens(config), cpus);
  return { ...config, maxConnections: Math.max(1, Math.min(L7_CONNECTIONS_DEFAULT, most)) };
}

function listens({ frontends, upstreams }: L7Config): Pick<Needs, 'binds' | 'checkedServers'> {
  return {
    binds: frontends.flatMap(({ name, binds, redirectBinds }) => [
      ...bindsAt(binds, ['l7', 'frontends', name, 'services']),
      ...bindsAt(redirectBinds, ['l7', 'frontends', name, 'redirect_from']),
    ]),
    checkedServers: upstreams.reduce(
      (sum, { health, servers }) => sum + (health === undefined ? 0 : servers.length),
      0,
    ),
  };
}

function bindsAt(binds: readonly L7Bind[], list: FieldPath): Bind[] {
  return binds.flatMap(({ vip, portFirst, portLast }, index) =>
    Array.from({ length: portLast - portFirst + 1 }, (_, i) => ({
      address: vip,
      port: portFirst + i,
      at: [...list, index],
    })),
  );
}
