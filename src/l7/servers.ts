/**
 * What was said at runtime of servers of an upstream: drained, or with another weight. It lies over the config until the config says
 * the same or no longer has the server, and outlives reloads and restarts. Pure.
 */
import type { L7Config, L7Server } from '../config/l7/types.js';
import { isRecord } from '../core/is-record.js';
import { L7_WEIGHT_MAX } from '../core/limits.js';

export type ServerPatch = Partial<Pick<L7Server, 'state' | 'weight'>>;

/** By `upstream/server`. */
export type ServerOverrides = ReadonlyMap<string, ServerPatch>;

export function serverKey(upstream: string, server: string): string {
  return `${upstream}/${server}`;
}

/** The config with what the overrides say. */
export function withOverrides(config: L7Config, overrides: ServerOverrides): L7Config {
  if (overrides.size === 0) return config;
  return {
    ...config,
    upstreams: config.upstreams.map((upstream) => ({
      ...upstream,
      servers: upstream.servers.map((server) => ({
        ...server,
        ...overrides.get(serverKey(upstream.name, server.name)),
      })),
    })),
  };
}

/** The overrides after one more thing was said of a server that the config has. */
export function override(
  overrides: ServerOverrides,
  config: L7Config,
  key: string,
  patch: ServerPatch,
): ServerOverrides {
  return stillNeeded(new Map(overrides).set(key, { ...overrides.get(key), ...patch }), config);
}

/** Without what the config says as well, unless discovery says it, which may end; and without servers that it does not have. */
export function stillNeeded(overrides: ServerOverrides, config: L7Config): ServerOverrides {
  const needed = new Map<string, ServerPatch>();
  for (const { name, servers } of config.upstreams) {
    for (const server of servers) {
      const key = serverKey(name, server.name);
      const said = overrides.get(key);
      if (said === undefined) continue;
      const left: ServerPatch = {
        ...(said.state !== undefined &&
          (said.state !== server.state || server.leaves === true) && { state: said.state }),
        ...(said.weight !== undefined && said.weight !== server.weight && { weight: said.weight }),
      };
      if (Object.keys(left).length > 0) needed.set(key, left);
    }
  }
  return needed;
}

/** For the log. */
export function saidOf({ state, weight }: ServerPatch): string {
  const words = [
    ...(state === undefined ? [] : [state === 'draining' ? 'drained' : 'no longer drained']),
    ...(weight === undefined ? [] : [`given weight ${weight}`]),
  ];
  return `${words.join(' and ')} by command`;
}

/** What still lies over the config, one sentence each, and the command that ends it. */
export function saidAgainst(overrides: ServerOverrides, config: L7Config): string[] {
  return config.upstreams.flatMap(({ name, servers }) =>
    servers.flatMap((server) => {
      const key = serverKey(name, server.name);
      const { state, weight } = overrides.get(key) ?? {};
      return [
        ...(state === 'draining'
          ? [`${key} stays drained, as a command said; \`anyhop l7 undrain ${key}\` ends that`]
          : []),
        ...(state === 'active'
          ? [`${key} takes requests, as a command said; \`anyhop l7 drain ${key}\` ends that`]
          : []),
        ...(weight !== undefined
          ? [
              `${key} keeps weight ${weight}, which was given by command; \`anyhop l7 weight ${key} ${server.weight}\` ends that`,
            ]
          : []),
      ];
    }),
  );
}

/** What a state file holds; undefined for anything else. */
export function readOverrides(value: unknown): ServerOverrides | undefined {
  if (!isRecord(value)) return undefined;
  const found = new Map<string, ServerPatch>();
  for (const [key, patch] of Object.entries(value)) {
    if (!isRecord(patch)) return undefined;
    const { state, weight } = patch;
    if (state !== undefined && state !== 'active' && state !== 'draining') return undefined;
    if (weight !== undefined && !isWeight(weight)) return undefined;
    found.set(key, { ...(state !== undefined && { state }), ...(weight !== undefined && { weight }) });
  }
  return found;
}

function isWeight(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= L7_WEIGHT_MAX;
}
