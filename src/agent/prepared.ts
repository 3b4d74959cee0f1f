/**
 * An agent's program for one config: loaded, its maps filled, with what keeps them true of the host. A reload prepares the next one
 * beside the one in force, then exchanges the two (agent.ts).
 */
import { isDeepStrictEqual } from 'node:util';
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { BpfObject } from '../ffi/bpf.js';
import { cookieKeysOf } from './cookies/keys.js';
import type { Environment } from './environment.js';
import type { Fleet } from './fleet.js';
import { allHere, LocalVips } from './local-vips.js';
import { PeerRows } from './peers.js';
import { closeMaps } from './pins.js';
import { type CookieOptions, type KeptMaps, loadAgentProgram } from './program.js';
import { SecondChance } from './second-chance.js';
import { agentTables, vipsOf } from './tables.js';
import { TcpConnections } from './tcp-connections.js';

/** A program with its maps filled, for a config. */
export interface Prepared {
  readonly config: LoadedConfig<'agent'>;
  readonly fleet: Fleet;
  readonly environment: Environment;
  readonly program: BpfObject;
  readonly secondChance: SecondChance | undefined;
  /** Undefined where VIPs may be elsewhere. */
  readonly localVips: LocalVips | undefined;
  readonly connections: TcpConnections;
}

/**
 * Loads a program and starts what follows the host for it; nothing is in force yet.
 * @param kept maps of the program before; closed here
 * @param cookies as of `Cookies.prepare`; closed here
 */
export async function prepare(
  config: LoadedConfig<'agent'>,
  fleet: Fleet,
  environment: Environment,
  kept: KeptMaps,
  cookies: CookieOptions | undefined,
  log: Logger,
): Promise<Prepared> {
  const rows = new PeerRows(fleet.peers, environment.locals);
  let program: BpfObject | undefined;
  let localVips: LocalVips | undefined;
  try {
    const tables = agentTables(fleet, environment.locals);
    program = loadAgentProgram(tables, rows, { kept, cookies });
    localVips = await followVips(program, fleet, config, log);
    const secondChance =
      fleet.peers.length === 0
        ? undefined
        : await SecondChance.start(program, rows, config, environment, log);
    const connections = new TcpConnections(config.services);
    return { config, fleet, environment, program, secondChance, localVips, connections };
  } catch (error) {
    await localVips?.close();
    program?.close();
    throw error;
  } finally {
    closeMaps(kept);
    cookies?.clock.close();
    cookies?.cookies.close();
  }
}

/**
 * A prepared config whose program is the one in force: nothing that the program knows is different. Weights and drains are the
 * forwarders' business.
 * @returns undefined where it takes another program
 */
export function withSameProgram(
  former: Prepared,
  config: LoadedConfig<'agent'>,
  fleet: Fleet,
  environment: Environment,
): Prepared | undefined {
  const isSame =
    isDeepStrictEqual(fleet, former.fleet) &&
    isDeepStrictEqual(placeOf(environment), placeOf(former.environment)) &&
    isDeepStrictEqual(servedBy(config), servedBy(former.config));
  return isSame ? { ...former, config, environment } : undefined;
}

function placeOf({ interface: name, interfaceIndex, mtu, kind, locals }: Environment) {
  return { name, interfaceIndex, mtu, kind, locals };
}

/**
 * Whatever of a config may concern its program: rather too much than too little. Keys by their bytes, since a wrapped secret compares
 * equal to any other.
 */
function servedBy({ agent, services, defend, pools }: LoadedConfig<'agent'>) {
  const rules = defend && { ...defend, cookies: undefined };
  return { agent, services, rules, cookieKeys: cookieKeysOf({ defend }), pools: pools.map(unweighed) };
}

function unweighed({ backends, ...rest }: PoolConfig) {
  return {
    ...rest,
    backends: backends.map(({ weight: _, state: __, leaves: ___, ...backend }) => backend),
  };
}

async function followVips(
  program: BpfObject,
  fleet: Fleet,
  { services, agent }: LoadedConfig<'agent'>,
  log: Logger,
): Promise<LocalVips | undefined> {
  const vips = vipsOf(fleet.services);
  if (!agent.vipElsewhere) return LocalVips.start(program, vips, log, vipsOf(services));
  program.fill('here', allHere(vips.length));
  return undefined;
}

/** Closes all of it; a program that is attached stays in the kernel. */
export async function release({ secondChance, localVips, program }: Prepared): Promise<void> {
  await Promise.all([secondChance?.close(), localVips?.close()]);
  program.close();
}
