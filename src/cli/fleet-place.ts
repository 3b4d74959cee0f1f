/** Common parts of the commands of a fleet: its store, the operator's key, and what is said of a change. */
import { hostname, userInfo } from 'node:os';
import type { FleetConfig } from '../config/fleet/types.js';
import { createLog } from '../core/log.js';
import { readOperatorKey, type SigningKey } from '../fleet/keys.js';
import { refused } from '../fleet/refused.js';
import { FleetStore } from '../fleet/store.js';
import type { KeyOptions } from './fleet-options.js';
import { type ConfigOptions, loadFor } from './options.js';

/** Does something with the store of the fleet that a config file names. @throws AnyhopError ERR_CONFIG, ERR_STORE, and as `use` */
export async function withStore<T>(
  options: ConfigOptions,
  use: (store: FleetStore, fleet: FleetConfig) => Promise<T>,
): Promise<T> {
  const { fleet } = loadFor('fleet', { config: options.config });
  const store = new FleetStore(fleet, createLog('silent'));
  try {
    return await use(store, fleet);
  } finally {
    store.close();
  }
}

/** @throws AnyhopError ERR_USAGE, or ERR_FLEET when it is another key than the one that the fleet takes */
export function operatorKey({ key: path }: KeyOptions, fleet: FleetConfig): SigningKey {
  const key = readOperatorKey(path);
  if (key.publicBytes.equals(fleet.operatorKey)) return key;
  throw refused(
    `${path} is another key than fleet.operator_key, and no host would take what it signs`,
    'Use the key that `anyhop fleet init` made for this fleet.',
    2,
  );
}

/** Who makes a change. */
export function whoAmI(): string {
  return `${process.env['SUDO_USER'] ?? userInfo().username}@${hostname()}`;
}
