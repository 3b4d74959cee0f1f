/** A good config with the section `l7`, in parts of which a test replaces one. */
import type { LoadedConfig } from '#anyhop/config/types.js';
import { parse } from './fixture.js';

/** An obvious pattern, so that a leak of any part of it is easy to find. */
export const SUBKEY = 'ab12cd34'.repeat(8);

const HEAD = `node: {interface: eth0, source: 10.0.0.1, key: ${'5e'.repeat(16)}}
agent: {forwarders: [10.0.0.1]}
pools:
  proxies:
    health: {kind: http, port: 9612, path: /anyhop-l7}
    backends:
      - {name: proxy-1, address: 10.1.0.11}
      - {name: proxy-2, address: 10.1.0.12}
services:
  - {name: https, vip: 203.0.113.10, protocol: tcp, port: 443, pool: proxies, second_chance: on}
  - {name: http, vip: 203.0.113.10, protocol: tcp, port: 80, pool: proxies, second_chance: on}
  - {name: plain, vip: 203.0.113.10, protocol: tcp, port: 8080, pool: proxies, second_chance: on}
  - {name: dns, vip: 203.0.113.53, protocol: udp, port: 53, pool: proxies}
`;

export interface L7Parts {
  /** What stands before `l7`. */
  readonly head?: string;
  /** Fields of `l7` beside the two mappings, a line each. */
  readonly fields?: string;
  /** The whole mapping, indented. */
  readonly frontends?: string;
  /** Fields of the only frontend beside its routes. */
  readonly frontend?: string;
  readonly routes?: readonly string[];
  readonly upstreams?: string;
  /** Fields of the upstream `shop` beside its servers. */
  readonly upstream?: string;
  readonly servers?: readonly string[];
}

const item = (text: string): string => `        - ${text}\n`;
/** `^a: b` stands at the place of `a`. */
const line = (text: string, indent: string): string =>
  text === '' ? '' : `${text.replace(/^/gm, indent)}\n`;

export function l7Text(parts: L7Parts = {}): string {
  const { head = HEAD, fields = `key: ${SUBKEY}`, routes = ['{to: shop}'] } = parts;
  const { servers = ['{name: a, address: 10.2.0.11, port: 8080}'] } = parts;
  const frontends =
    parts.frontends ??
    `    web:\n${line(parts.frontend ?? 'services: [plain]', '      ')}      routes:\n${routes.map(item).join('')}`;
  const upstreams =
    parts.upstreams ??
    `    shop:\n${line(parts.upstream ?? '', '      ')}      servers:\n${servers.map(item).join('')}`;
  return `${head}l7:\n${line(fields, '  ')}  frontends:\n${frontends}  upstreams:\n${upstreams}`;
}

export function parseL7(parts: L7Parts = {}): LoadedConfig<'l7'> {
  return parse(l7Text(parts), 'l7');
}

/** Warnings as `LINE:COLUMN FIELD: MESSAGE`. */
export function warningsOf({ warnings }: Pick<LoadedConfig, 'warnings'>): string[] {
  return warnings.map(({ line: row, column, field, message }) => `${row}:${column} ${field}: ${message}`);
}
