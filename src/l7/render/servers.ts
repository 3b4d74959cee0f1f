/** Servers of an upstream as they are in force: what the config says, and what was said at runtime since. */
import type { L7Server, L7Upstream } from '../../config/l7/types.js';
import type { IpAddress } from '../../packet/address.js';
import { serverIds } from './names.js';

/** What was said of a server at runtime; a field that is missing is as in the config. */
export interface ServerOverride {
  readonly weight?: number;
  readonly state?: L7Server['state'];
  readonly address?: IpAddress;
  readonly port?: number;
}

/** By name of the upstream, then of the server. Names that the config does not have are ignored. */
export type ServerOverrides = ReadonlyMap<string, ReadonlyMap<string, ServerOverride>>;

export interface ServerInForce {
  readonly name: string;
  /** Index in the config. */
  readonly index: number;
  /** Stable for its name. */
  readonly id: number;
  readonly address: IpAddress;
  readonly port: number;
  /** HAProxy's: 0 for a draining server. */
  readonly weight: number;
}

export function serversInForce(
  { name, servers }: L7Upstream,
  overrides: ServerOverrides = new Map(),
): ServerInForce[] {
  const ids = serverIds(servers.map((server) => server.name));
  return servers.map((server, index) => {
    const { weight, state, address, port } = { ...server, ...overrides.get(name)?.get(server.name) };
    const id = ids.get(server.name)!;
    return { name: server.name, index, id, address, port, weight: state === 'draining' ? 0 : weight };
  });
}
