/** A site in network namespaces for tests of printed configs: a router with a cable to each forwarder, and a watch on the router's table. */

import { fileURLToPath } from 'node:url';
import { FORMATS } from '#anyhop/announce/print/formats.js';
import { type Neighbor, type PrintOptions, parseNeighbor } from '#anyhop/announce/print/options.js';
import { parseConfig } from '#anyhop/config/load.js';
import { inNamespace, run } from '../../../scripts/lab/command.js';
import { FibWatch } from '../../../scripts/lab/ha/fib.js';
import { Resources } from '../../../scripts/lab/resources.js';

export const VIP4 = '203.0.113.10';
export const VIP6 = '2001:db8:100::10';
export const PROGRAM = fileURLToPath(new URL('../../../../dist/main.js', import.meta.url));
/** A session, with all that comes before it: seconds on an idle machine. */
export const SESSION_MS = 30_000;
/** A change that the daemons have to take to the router's table. */
export const CHANGE_MS = 10_000;

export interface Forwarder {
  readonly name: string;
  readonly namespace: string;
  readonly here4: string;
  readonly here6: string;
  readonly router4: string;
  readonly router6: string;
  /** Adds and deletes rows in this order, each in the words of `ip route` after `blackhole`. */
  rows(...changes: readonly (readonly ['add' | 'del', vip: string, metric: number])[]): Promise<void>;
}

export interface Site {
  readonly resources: Resources;
  readonly router: string;
  readonly forwarders: readonly Forwarder[];
  readonly fib: FibWatch;
}

/** @param table where rows go, as `ip route` says it */
export async function withSite(
  forwarders: number,
  table: string,
  use: (site: Site) => Promise<void>,
): Promise<void> {
  const resources = new Resources();
  try {
    const router = resources.addNamespace('r');
    await ip(router, 'link set lo up');
    const made = [];
    for (let i = 1; i <= forwarders; i++) made.push(await addForwarder(resources, router, i, table));
    await use({ resources, router, forwarders: made, fib: await FibWatch.start(resources, router) });
  } finally {
    await resources.close();
  }
}

async function addForwarder(
  resources: Resources,
  router: string,
  i: number,
  table: string,
): Promise<Forwarder> {
  const name = `edge-${i}`;
  const namespace = resources.addNamespace(`n${i}`);
  const [here4, router4] = [`10.9.${i}.2`, `10.9.${i}.1`];
  const [here6, router6] = [`fd09:${i}::2`, `fd09:${i}::1`];
  await ip(namespace, 'link set lo up', `link add eth0 type veth peer name ${name} netns ${router}`);
  const address = (device: string, v4: string, v6: string): string[] => [
    `addr add ${v4}/24 dev ${device}`,
    `addr add ${v6}/64 dev ${device} nodad`,
    `link set ${device} up`,
  ];
  await ip(namespace, ...address('eth0', here4, here6));
  await ip(router, ...address(name, router4, router6));
  return {
    name,
    namespace,
    here4,
    here6,
    router4,
    router6,
    rows: (...changes) =>
      ip(
        namespace,
        ...changes.map(([what, vip, metric]) => {
          const family = vip.includes(':') ? '-6' : '-4';
          return `${family} route ${what} blackhole ${vip} table ${table} proto 179 metric ${metric}`;
        }),
      ),
  };
}

export async function ip(namespace: string, ...lines: readonly string[]): Promise<void> {
  for (const family of ['-4', '-6']) {
    const own = lines.filter((line) => line.startsWith(`${family} `)).map((line) => line.slice(3));
    if (own.length > 0)
      await run(inNamespace(namespace, ['ip', family, '-batch', '-']), { input: `${own.join('\n')}\n` });
  }
  const both = lines.filter((line) => !line.startsWith('-'));
  if (both.length > 0)
    await run(inNamespace(namespace, ['ip', '-batch', '-']), { input: `${both.join('\n')}\n` });
}

/** What `--print` writes on a forwarder, for a config with two VIPs. @param announce of the section `announce`, a line of YAML */
export async function printed(format: string, options: PrintOptions, announce = '{}'): Promise<string> {
  const config = parseConfig(configText(announce), 'anyhop.yaml', { role: 'announce', env: {} });
  const write = await FORMATS[format]!.load();
  return write(config, options, { program: PROGRAM });
}

export function configText(announce: string, source = '[10.9.1.2, "fd09:1::2"]'): string {
  return `
node: {name: edge-1, source: ${source}, key: "${'5'.repeat(32)}"}
announce: ${announce}
pools:
  web: {backends: [{name: web-1, address: 10.1.0.11}]}
services:
  - {name: web4, vip: ${VIP4}, protocol: tcp, port: 80, pool: web}
  - {name: web6, vip: ${VIP6}, protocol: tcp, port: 80, pool: web}
`;
}

export function neighbors(...addresses: readonly string[]): readonly Neighbor[] {
  return addresses.map((address) => parseNeighbor(address)!);
}
