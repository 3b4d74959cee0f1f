/** The sections `l7` that are measured: a few routes that HAProxy answers by itself, and the large one. */
import { L7_KEY, UPSTREAM_PORT } from '../../scripts/lab/l7/lab.js';
import type { LabSections } from '../../scripts/lab/lab.js';

/** What stands in the address space of the servers' machine; it answers on all of them. */
export const SERVERS_PREFIX = '10.3.0.0/18';
export const ROUTES = 1000;
export const SERVERS = 1000;
const UPSTREAMS = 50;
/** One route of so many is a wildcard. */
const WILDCARD_EVERY = 5;
export const WILDCARD_SHARE = 1 / WILDCARD_EVERY;

/** HAProxy answers here by itself, with a redirect. */
export const OWN_HOST = 'www.example.com';
export const SHOP_HOST = 'shop.example.com';
const REDIRECT = 'https://shop.example.com';

const address = (upstream: number, server: number): string => `10.3.${upstream}.${server + 1}`;

/** A host that route `i` of the thousand is for. */
export function hostOfRoute(i: number): string {
  return isWildcard(i) ? `any.r${i}.example.com` : `r${i}.example.com`;
}

/** The index of a route for one host, at this share of the list or after it. @param share below 1; below 0: the first */
export function exactRoute(share: number): number {
  return routeFrom(share, false);
}

/** The same of a route for a wildcard. */
export function wildcardRoute(share: number): number {
  return routeFrom(share, true);
}

function routeFrom(share: number, wildcard: boolean): number {
  let index = Math.max(0, Math.floor(share * ROUTES));
  while (isWildcard(index) !== wildcard) index++;
  return index;
}

function isWildcard(i: number): boolean {
  return i % WILDCARD_EVERY === WILDCARD_EVERY - 1;
}

function routes(target: (i: number) => object, edition = 0): object[] {
  return Array.from({ length: ROUTES }, (_, i) => ({
    host: isWildcard(i) ? `*.r${i}.example.com` : `r${i}.example.com`,
    path: i === 0 && edition > 0 ? `/v${edition}/` : '/',
    ...target(i),
  }));
}

/**
 * Frontends `plain` and `tls` with a route that is a redirect and one that leads to a server; `one` with one redirect, and `many` with
 * a thousand, on the two services over IPv6.
 */
export function fewRoutes(certificates: string): LabSections {
  const own = [
    { host: OWN_HOST, redirect: REDIRECT },
    { host: SHOP_HOST, to: 'shop' },
  ];
  const shop = { name: 'shop-1', address: address(0, 0), port: UPSTREAM_PORT };
  return section(
    {
      plain: { services: ['http'], routes: own },
      tls: { services: ['https'], certificates, routes: own },
      one: { services: ['http6'], routes: [{ host: hostOfRoute(0), redirect: REDIRECT }] },
      many: { services: ['https6'], routes: routes(() => ({ redirect: REDIRECT })) },
    },
    { shop: { servers: [shop] } },
  );
}

/** A thousand routes to a thousand servers in fifty upstreams, all checked by HTTP every 2 s. Editions differ in one route. */
export function manyServers(certificates: string, edition: number): LabSections {
  const perUpstream = SERVERS / UPSTREAMS;
  const upstream = (u: number): object => ({
    health: { kind: 'http', path: '/', interval: '2s' },
    servers: Array.from({ length: perUpstream }, (_, s) => ({
      name: `s${u}-${s}`,
      address: address(u, s),
      port: UPSTREAM_PORT,
    })),
  });
  return section(
    {
      plain: { services: ['http'], routes: [{ host: OWN_HOST, redirect: REDIRECT }] },
      tls: {
        services: ['https'],
        certificates,
        routes: routes((i) => ({ to: `u${i % UPSTREAMS}` }), edition),
      },
    },
    Object.fromEntries(Array.from({ length: UPSTREAMS }, (_, u) => [`u${u}`, upstream(u)])),
  );
}

function section(frontends: object, upstreams: object): LabSections {
  return { l7: { key: L7_KEY, access_log: 'off', frontends, upstreams } };
}
