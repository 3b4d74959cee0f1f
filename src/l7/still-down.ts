/**
 * Servers that are down when HAProxy reloads. A new worker counts every server as up until its first check, which may come a whole interval
 * later. So it is told at once which ones its predecessor had found down, or this program had taken out; their checks bring them back.
 */
import type { L7Config } from '../config/l7/types.js';
import type { HaproxyStats } from './haproxy/stats.js';
import { serverKey } from './servers.js';

/**
 * Commands of HAProxy's runtime API. Without servers that are others now: another address, or no checks.
 * @param stats of the worker before
 */
export function stillDown({ servers }: HaproxyStats, before: L7Config, after: L7Config): string[] {
  const known = placesOf(before);
  const down = new Set(
    servers.flatMap(({ backend, server, status }) =>
      status.startsWith('DOWN') ? [serverKey(backend, server)] : [],
    ),
  );
  return [...placesOf(after)].flatMap(([key, place]) =>
    down.has(key) && known.get(key) === place ? [`set server ${key} health down`] : [],
  );
}

/** Of the servers that are checked. */
function placesOf({ upstreams }: L7Config): Map<string, string> {
  return new Map(
    upstreams.flatMap(({ name, health, servers }) =>
      health === undefined
        ? []
        : servers.map(({ name: server, address, port }): [string, string] => [
            serverKey(`u_${name}`, server),
            `${address.text} ${port}`,
          ]),
    ),
  );
}
