/** Configs of the layer-7 tier for tests of what is rendered from them, read by the loader that users' configs pass. */
import { join } from 'node:path';
import { loadCertificates } from '#anyhop/config/l7/certificates.js';
import type { L7Bind, L7Config, L7Frontend } from '#anyhop/config/l7/types.js';
import { parseConfig } from '#anyhop/config/load.js';
import { type RenderOptions, renderL7 } from '#anyhop/l7/render/render.js';
import type { Render } from '#anyhop/l7/render/rendering.js';
import { type IpAddress, parseAddress } from '#anyhop/packet/address.js';

/** Of the tier in these tests. */
export const L7_KEY = '0123456789abcdef'.repeat(4);
export const THUMBPRINT = 'abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG';
/** Services that a frontend may name; the addresses are documentation's. */
const SERVICES: readonly (readonly [name: string, vip: string, port: string])[] = [
  ['https', '203.0.113.10', '443'],
  ['https6', '2001:db8::10', '443'],
  ['http', '203.0.113.10', '80'],
  ['http6', '2001:db8::10', '80'],
  ['ports', '203.0.113.11', '8000-8010'],
  ['ports6', '2001:db8::11', '8000-8010'],
];
/** Addresses of servers in a config: from `SERVER_NET.1` on. */
export const SERVER_NET = '10.2.0';

/** @param l7 the section `l7`, for JSON @param directory where the config file would be, with the files that it names */
export function loadL7(l7: object, directory = '/nowhere'): L7Config {
  const config = {
    agent: { forwarders: ['10.0.0.1'] },
    pools: { proxies: { backends: [{ name: 'proxy-1', address: '10.1.0.11' }] } },
    services: SERVICES.map(([name, vip, port]) => ({ name, vip, port, protocol: 'tcp', pool: 'proxies' })),
    // Few connections, so that no test needs more file descriptors than a process gets.
    l7: { key: L7_KEY, max_connections: 500, ...l7 },
  };
  return parseConfig(escaped(config), join(directory, 'anyhop.yaml'), { role: 'l7', env: {} }).l7;
}

/** JSON of printable ASCII, so that what YAML cannot hold unescaped gets to the fields too. */
function escaped(value: object): string {
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Renders with the certificates that the config names. */
export function rendererOf(config: L7Config, options: Partial<RenderOptions> = {}): Render {
  const certificates = new Map(
    config.frontends.flatMap(({ name, certificates: directory }) =>
      directory === undefined ? [] : [[name, loadCertificates(directory).certificates] as const],
    ),
  );
  return (directory) => renderL7(config, { certificates, now: new Date(), ...options, directory });
}

export interface Loopback {
  /** Instead of every IPv4 VIP. */
  readonly address: string;
  /** Added to ports, so that no test needs the right to low ones, and tests on ::1 do not meet. */
  readonly portShift: number;
  /** Where the servers really are, in the order in which the config has them at SERVER_NET. */
  readonly servers: readonly { readonly address: string; readonly port: number }[];
}

/** The same config on the loopback interface, which the loader refuses. */
export function onLoopback(config: L7Config, { address, portShift, servers }: Loopback): L7Config {
  const move = (bind: L7Bind): L7Bind => ({
    ...bind,
    vip: addressOf(bind.vip.family === 4 ? address : '::1'),
    portFirst: bind.portFirst + portShift,
    portLast: bind.portLast + portShift,
  });
  return {
    ...config,
    frontends: config.frontends.map(
      (frontend): L7Frontend => ({
        ...frontend,
        binds: frontend.binds.map(move),
        redirectBinds: frontend.redirectBinds.map(move),
      }),
    ),
    upstreams: config.upstreams.map((upstream) => ({
      ...upstream,
      servers: upstream.servers.map((server) => {
        const place = servers[Number(server.address.text.split('.').at(-1)) - 1];
        return place === undefined
          ? server
          : { ...server, address: addressOf(place.address), port: place.port };
      }),
    })),
  };
}

export function addressOf(text: string): IpAddress {
  return parseAddress(text)!;
}
