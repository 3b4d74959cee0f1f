/** A good config in parts, of which a test replaces one, and the places in it that a test marks with `^`. */
import { ConfigError, type ConfigProblem } from '#anyhop/config/error.js';
import { parseConfig } from '#anyhop/config/load.js';
import type { LoadedConfig, Role } from '#anyhop/config/types.js';

/** An obvious pattern, so that a leak of any part of it is easy to find. */
export const KEY = 'c0ffee11c0ffee22c0ffee33c0ffee44';

export const NODE = `node:
  name: edge-1
  interface: eth0
  source: [10.0.0.1, 'fd00::1']
  key: ${KEY}
  engine: auto
`;
export const POOLS = `pools:
  web:
    backends:
      - {name: web-1, address: 10.1.0.11}
      - {name: web-2, address: 10.1.0.12}
  dns:
    backends:
      - {name: dns-1, address: 10.1.0.53}
`;
export const SERVICES = `services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: dns, vip: 203.0.113.53, protocol: udp, port: 53, pool: dns}
`;

export const AGENT = "agent: {forwarders: [10.0.0.0/24, 'fd00::1']}\n";

export interface Parts {
  readonly node?: string;
  readonly pools?: string;
  readonly services?: string;
  readonly agent?: string;
}

export function join({ node = NODE, pools = POOLS, services = SERVICES, agent = AGENT }: Parts): string {
  return node + pools + services + agent;
}

/** The text without its marks, and the place of each. */
export function unmark(marked: string): { text: string; places: string[] } {
  const places: string[] = [];
  const lines = marked.split('\n').map((line, index) => {
    let rest = line;
    for (let at = rest.indexOf('^'); at >= 0; at = rest.indexOf('^')) {
      places.push(`${index + 1}:${at + 1}`);
      rest = rest.slice(0, at) + rest.slice(at + 1);
    }
    return rest;
  });
  return { text: lines.join('\n'), places };
}

export const FILE = '/nowhere/anyhop.yaml';

export function parse<R extends Role = 'run'>(text: string, role?: R): LoadedConfig<R> {
  return parseConfig(text, FILE, { role: role ?? ('run' as R), env: {} });
}

/** The problems of a text; none when it is good. Anything but a ConfigError is thrown on. */
export function problemsOf(text: string, role: Role = 'run'): readonly ConfigProblem[] {
  try {
    parse(text, role);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

export function placeOf(problem: ConfigProblem): string {
  return `${problem.line}:${problem.column}`;
}
