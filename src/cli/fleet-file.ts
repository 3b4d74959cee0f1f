/** Whether a host is in a fleet, by its config file. */
import { readFileSync } from 'node:fs';
import { mentionsFleet } from '../config/fleet/merged.js';

/** A file that cannot be read is for others to refuse. */
export function isInFleet(file: string): boolean {
  try {
    return mentionsFleet(readFileSync(file, 'utf8'));
  } catch {
    return false;
  }
}
