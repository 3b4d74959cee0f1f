/** Configs of the layer-7 tier for tests of what is rendered from them, read by the loader that users' configs pass. */
import { join } from 'node:path';
import { loadCertificates } from '#anyhop/config/l7/certificates.js';
import type { L7Config } from '#anyhop/config/l7/types.js';
import { parseConfig } from '#anyhop/config/load.js';
import { type RenderOptions, renderL7 } from '#anyhop/l7/render/render.js';
import type { Render } from '#anyhop/l7/render/rendering.js';

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
];

/** @param l7 the section `l7`, for JSON @param directory where the config file would be, with the files that it names */
export function loadL7(l7: object, directory = '/nowhere'): L7Config {
  const config = {
    pools: { proxies: { backends: [{ name: 'proxy-1', address: '10.1.0.11' }] } },
    services: SERVICES.map(([name, vip, port]) => ({ name, vip, port, protocol: 'tcp', pool: 'proxies' })),
    l7: { key: L7_KEY, ...l7 },
  };
  return parseConfig(JSON.stringify(config), join(directory, 'anyhop.yaml'), { role: 'l7', env: {} }).l7;
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
