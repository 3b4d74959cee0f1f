/** Warnings of `check` about this machine's routes to the backends: those that are too narrow for IPv6 services. */
import type { ConfigProblem } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import { type RunTool, runTool } from '../core/tool.js';
import type { IpAddress, IpPrefix } from '../packet/address.js';
import { leastMtus, narrowForIpv6 } from '../pool/least-mtu.js';
import { readLinks } from '../underlay/link.js';
import { askFrom, refusalOf, routeMtu } from '../underlay/route.js';

/**
 * One warning per pool, about its first such backend. None if this is not the node's machine: it lacks the interface or the
 * source.
 */
export async function warnAboutNarrowRoutes(
  config: Pick<LoadedConfig, 'node' | 'pools' | 'services' | 'file'>,
  run: RunTool = runTool,
): Promise<ConfigProblem[]> {
  const { node, pools, file } = config;
  const least = leastMtus(config);
  const backends = pools.flatMap((pool) =>
    pool.backends.flatMap((backend) =>
      least.get(backend.address.text)?.ipv6 === undefined ? [] : { pool: pool.name, ...backend },
    ),
  );
  if (backends.length === 0 || node?.interface === undefined) return [];
  const warning = (message: string): ConfigProblem => ({ file, line: 0, column: 0, field: '', message });
  try {
    const links = await readLinks(run);
    if (!links.has(node.interface)) return [];
    const sources = { source4: addressOf(node.source4), source6: addressOf(node.source6) };
    const { answers, strange } = await askFrom(
      backends.map(({ address }) => address),
      sources,
      run,
    );
    if (strange !== undefined) return [];
    const warned = new Map<string, string>();
    for (const [i, { pool, name, address }] of backends.entries()) {
      const route = answers[i]!;
      if (warned.has(pool) || typeof route === 'string' || refusalOf(route) !== undefined) continue;
      const mtu = routeMtu(route, links.get(route.dev));
      const message = narrowForIpv6(`${pool}/${name}`, mtu, least.get(address.text));
      if (message !== undefined) warned.set(pool, message);
    }
    return [...warned.values()].map(warning);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [warning(`whether the routes are wide enough for IPv6 services is not known: ${why}`)];
  }
}

/** The address of a source that is not a prefix; no route is for a prefix. */
function addressOf(source: IpPrefix | undefined): IpAddress | undefined {
  return source?.length === (source?.address.family === 4 ? 32 : 128) ? source?.address : undefined;
}
