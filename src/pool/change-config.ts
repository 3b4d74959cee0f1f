/** Between the config of a pool and its changes: what a file asks for, and the config that is in force meanwhile. */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import { parseAddress } from '../packet/address.js';
import type { ChangeMember, PoolChange, PoolChanges } from './change.js';
import { priorMembers } from './remembered.js';

/** What a pool of a config file asks for. */
export function changeFromConfig({ backends, prior }: PoolConfig): PoolChange {
  return {
    members: backends.map(member),
    prior: prior?.map((one) => ({ ...member(one), health: one.health })),
  };
}

/**
 * `pool` with the backends that are in force and the prior state that is remembered in the place of those in the file,
 * which may still wait. Table size and panic threshold are the file's: these are not remembered.
 */
export function configInForce(pool: PoolConfig, changes: PoolChanges): PoolConfig {
  return {
    ...pool,
    backends: changes.members.map(backendOf),
    prior: priorMembers(changes).map((one) => ({ ...backendOf(one), health: one.health })),
  };
}

/** Every member that a queued change names, the next one's first; names may come again. */
export function queuedBackends(changes: PoolChanges): BackendConfig[] {
  return changes.queue.flatMap(({ members }) => members.map(backendOf));
}

/** `pool` with the backends that each queued change wants, the next one first. */
export function queuedConfigs(pool: PoolConfig, { queue }: PoolChanges): PoolConfig[] {
  return queue.map(({ members }) => ({ ...pool, backends: members.map(backendOf) }));
}

function backendOf({ name, address, weight, state, agent }: ChangeMember): BackendConfig {
  // Canonical text of an address that was parsed before, or checked when the file was read.
  return { name, address: parseAddress(address)!, weight, state, agent };
}

function member({ name, address, weight, state, agent }: BackendConfig): ChangeMember {
  return { name, address: address.text, weight, state, agent };
}
