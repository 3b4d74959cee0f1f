/**
 * Where things are in the store, below /anyhop/FLEET/:
 *
 *   blobs/SHA256             text of a config, compressed; written once
 *   revisions/0000000007     the signed record of a revision (record.ts)
 *   now/active               number of the revision that is in force
 *   now/intent               a revision that is being prepared, with the lease of whoever asks for it
 *   members/ROLE/NAME        who belongs to the fleet, also while it is away
 *   nodes/ROLE/NAME          what a member says of itself, with its lease (said.ts)
 *   health/NAME              which backends a forwarder sees down, with a lease of its own (health-views.ts)
 *   discover/elected         the forwarder that asks the sources of backends, with its lease
 *   discover/status          what they say (said.ts), with the same lease
 */
const NUMBER_DIGITS = 10;

export const ACTIVE = 'now/active';
export const INTENT = 'now/intent';
export const NOW = 'now/';
export const MEMBERS = 'members/';
export const NODES = 'nodes/';
export const HEALTH = 'health/';
export const DISCOVER = 'discover/';
export const ELECTED = 'discover/elected';
export const FOUND = 'discover/status';
export const REVISIONS = 'revisions/';

export function rootOf(fleet: string): string {
  return `/anyhop/${fleet}/`;
}

export function revisionPlace(number: number): string {
  return `${REVISIONS}${String(number).padStart(NUMBER_DIGITS, '0')}`;
}

export function blobPlace(sha256: string): string {
  return `blobs/${sha256}`;
}
