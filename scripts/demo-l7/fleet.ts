/** The fleet of the demo: three hosts on two upstreams of two servers each, behind two proxies and two forwarders. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Authority, createAuthority } from '../lab/certificates.js';
import { createL7Lab, L7_KEY, type L7Lab, UPSTREAM_PORT } from '../lab/l7/lab.js';
import type { LoadTarget } from '../lab/l7/load.js';
import type { LabProcess } from '../lab/process.js';
import { VIP4, VIP6 } from '../lab/topology.js';

export const SHOP = ['shop-1', 'shop-2'];
export const API = ['api-1', 'api-2'];
/** Checks of the proxy hosts by the forwarders. */
export const CHECK = { intervalMs: 700, timeoutMs: 600, fall: 2 };
/** Port and path are those of `anyhop l7 run`. */
const POOL = {
  health: {
    ...{ kind: 'http', port: 9612, path: '/anyhop-l7', rise: 2, fall: CHECK.fall },
    ...{ interval: `${CHECK.intervalMs}ms`, timeout: `${CHECK.timeoutMs}ms` },
  },
};
/** Host, path, and the servers that may answer. */
const PAGES = [
  { host: 'shop.example.com', path: '/', servers: SHOP },
  { host: 'api.example.com', path: '/v1/items', servers: API },
  { host: 'www.example.com', path: '/help', servers: SHOP },
] as const;

export interface DemoFleet {
  readonly lab: L7Lab;
  readonly authority: Authority;
  /** Of the proxies, in their order. */
  readonly proxies: readonly LabProcess[];
  /** The section of a proxy (index from 0); another `note` makes it another config. */
  section(proxy: number, note: string): object;
}

/** Every page over IPv4 and IPv6, with and without cookies. */
export const TARGETS: readonly LoadTarget[] = PAGES.flatMap((page) =>
  [VIP4, VIP6].flatMap((address) => [true, false].map((cookies) => ({ ...page, address, cookies }))),
);

export interface FleetOptions {
  /** What the config says of the pool of proxy hosts besides its check. */
  readonly pool?: Readonly<Record<string, unknown>>;
  readonly drainDeadline?: string;
}

/** Makes the machines and starts everything on them. */
export async function startFleet({
  pool = {},
  drainDeadline = '15s',
}: FleetOptions = {}): Promise<DemoFleet> {
  const lab = await createL7Lab({
    ...{ forwarders: 2, proxies: 2, servers: [...SHOP, ...API] },
    pool: { ...POOL, ...pool },
  });
  try {
    const { directory } = lab.resources;
    const certificates = join(directory, 'certificates');
    mkdirSync(certificates);
    const authority = await createAuthority(directory);
    await authority.serverCertificate(join(certificates, 'web.pem'), ['example.com', '*.example.com']);
    const section = (proxy: number, note: string): object =>
      sectionOf(lab, certificates, lab.proxies[proxy]!.name, note, drainDeadline);
    lab.configure({ l7: section(0, 'start') });
    const indexes = [...lab.proxies.keys()];
    for (const index of indexes) lab.configureProxy(index, section(index, 'start'));
    const proxies = await Promise.all(indexes.map((index) => lab.startProxy(index)));
    await lab.startAll();
    return { lab, authority, proxies, section };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** The hosts of a fleet have one config; here each names itself in its answers, so that one sees which it was. */
function sectionOf(
  lab: L7Lab,
  certificates: string,
  proxy: string,
  note: string,
  drainDeadline: string,
): object {
  const upstream = (names: readonly string[]): object => ({
    health: { kind: 'http', path: '/healthz', interval: '500ms', timeout: '400ms', rise: 2, fall: 2 },
    sticky: { cookie: 'SRV' },
    passive: { errors: 5 },
    retries: 2,
    slow_start: '2s',
    servers: lab.upstreamServers
      .filter(({ name }) => names.includes(name))
      .map(({ name, host4 }) => ({ name, address: host4, port: UPSTREAM_PORT })),
  });
  return {
    key: L7_KEY,
    drain_deadline: drainDeadline,
    access_log: 'off',
    frontends: {
      web: {
        services: ['https', 'https6'],
        redirect_from: ['http', 'http6'],
        certificates,
        routes: [
          { host: 'api.example.com', path: '/v1/', to: 'api' },
          { host: '*.example.com', to: 'shop' },
        ],
        headers: { response: { set: { 'x-proxy': proxy, 'x-note': note } } },
      },
    },
    upstreams: { shop: upstream(SHOP), api: upstream(API) },
  };
}
