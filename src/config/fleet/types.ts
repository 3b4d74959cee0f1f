/** The section `fleet` as the program sees it. */
import type { ValuesOf } from '../draft.js';
import type { Secret } from '../secret.js';
import type { fleet } from './schema.js';

export interface FleetConfig extends Omit<ValuesOf<typeof fleet>, 'caFile' | 'certificate'> {
  /** Certificates in PEM of those who sign the servers'; the well-known ones when undefined. */
  readonly authorities: Secret | undefined;
  /** Certificate, chain and private key of this host in PEM. */
  readonly certificate: Secret | undefined;
}
