/** What all of a simulated fleet have in common: one operator's key, one config, and how they get to the store. */
import type { FleetConfig } from '#anyhop/config/fleet/types.js';
import type { Logger } from '#anyhop/core/log.js';
import { StoreClient } from '#anyhop/fleet/client.js';
import { FleetStore } from '#anyhop/fleet/store.js';
import { newOperatorKey } from '../fleet.js';
import type { Link } from './link.js';

export const key = newOperatorKey();
export const config: FleetConfig = {
  name: 'edge',
  endpoints: ['http://192.0.2.1:2379'],
  operatorKey: Buffer.from(key.publicBytes),
  authorities: undefined,
  certificate: undefined,
  views: 'own',
};

export function storeBy(link: Link, log: Logger): FleetStore {
  const client = new StoreClient(
    config,
    () => config,
    () => link.connect(),
  );
  return new FleetStore(config, log, client);
}
