/** How an agent begins: its environment, the fleets that it knows, its program, and what of a former agent it goes on with. */
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { type AgentAttachment, attachAgent } from './attachment.js';
import { Cookies } from './cookies/cookies.js';
import { checkEnvironment, type Environment, localBackends } from './environment.js';
import type { Fleet } from './fleet.js';
import { FleetHistory, heldBy } from './fleet-history.js';
import { readFleets, writeFleets } from './fleet-pin.js';
import { openKeptMaps, pinKeptMaps, removeOthers, removePins, unpinAll } from './pins.js';
import { type Prepared, prepare, release } from './prepared.js';
import { thisSystem } from './system.js';

/** @throws AnyhopError the first error of the environment check */
export async function readyEnvironment(config: LoadedConfig<'agent'>, own?: number): Promise<Environment> {
  const environment = await checkEnvironment(config, thisSystem, own);
  const error = environment.findings.find(({ level }) => level === 'error');
  if (error === undefined) return environment;
  throw new AnyhopError(error.code, error.message, { hint: error.hint });
}

export interface Begun {
  readonly attachment: AgentAttachment;
  readonly inForce: Prepared;
  readonly history: FleetHistory;
  readonly cookies: Cookies;
}

/** The fleet, and the environment with the addresses that the fleet's backends have on this host. */
export function inView(history: FleetHistory, environment: Environment): [Fleet, Environment] {
  const fleet = history.fleet();
  return [fleet, { ...environment, locals: localBackends(fleet.backends, thisSystem) }];
}

/** The history that a former agent left, which knows this config even when it refuses it. */
function seenBy(directory: string, config: LoadedConfig<'agent'>, log: Logger): FleetHistory | undefined {
  const left = readFleets(directory, log);
  const history = left?.withClaims(config);
  if (history !== undefined && history !== left) writeFleets(directory, history);
  return history;
}

/** Prepares a program and attaches it, in place of the one that a former agent left. */
export async function begin(
  config: LoadedConfig<'agent'>,
  environment: Environment,
  directory: string | undefined,
  log: Logger,
): Promise<Begun> {
  const { leftover, interface: name } = environment;
  if (directory !== undefined && leftover === undefined && unpinAll(directory)) {
    log.warn(
      { event: 'stale_pins', directory },
      `pins without a program on ${name} were removed: ${directory}`,
    );
  }
  const before = directory === undefined ? undefined : seenBy(directory, config, log);
  const history = before?.next(config) ?? new FleetHistory(heldBy(config));
  const kept = directory === undefined ? {} : openKeptMaps(directory);
  const canPin = leftover === undefined || leftover.isPinned;
  const cookies = new Cookies(
    { directory: canPin ? directory : undefined, interfaceIndex: environment.interfaceIndex },
    log,
  );
  let inForce: Prepared | undefined;
  try {
    const options = cookies.prepare(config);
    inForce = await prepare(config, ...inView(history, environment), kept, options, log);
    if (directory !== undefined) {
      pinKeptMaps(directory, inForce.program);
      writeFleets(directory, history);
    }
    const attachment = attachAgent(inForce.program, environment, directory);
    if (directory !== undefined) removeOthers(directory, { ingress: options !== undefined });
    cookies.putInForce();
    if (leftover !== undefined && !inForce.program.reused.has('counters')) {
      log.warn(
        { event: 'counters_dropped' },
        'counters start again: this program cannot continue those of the one before',
      );
    }
    return { attachment, inForce, history, cookies };
  } catch (error) {
    if (inForce !== undefined) await release(inForce);
    cookies.leave();
    if (directory !== undefined && leftover === undefined) removePins(directory);
    throw error;
  }
}
