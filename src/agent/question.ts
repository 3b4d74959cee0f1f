/**
 * What a forwarder says as it asks an agent for its report: whether it drains this backend, and how often it asks. By this the host
 * knows when all forwarders have followed its wish to be drained. Peers that are no forwarders say nothing.
 *
 *     GET /report
 *     anyhop-forwarder: draining=yes; every=5
 *
 * The header comes from another machine: what does not have this form counts as nothing said.
 */
import { FORWARDER_ASKS_EVERY_MS_MAX } from '../core/limits.js';

export const FORWARDER_HEADER = 'anyhop-forwarder';
const PATTERN = /^draining=(yes|no); every=([1-9]\d{0,4})$/;

export interface Question {
  /** The backend is draining in force in every pool that has it, and no change of that is under way. */
  readonly draining: boolean;
  /** How often the forwarder asks at least: 1 s to FORWARDER_ASKS_EVERY_MS_MAX, in whole seconds. */
  readonly everyMs: number;
}

/** The value of the header. */
export function writeQuestion({ draining, everyMs }: Question): string {
  const mostMs = Math.min(Math.max(everyMs, 1_000), FORWARDER_ASKS_EVERY_MS_MAX);
  return `draining=${draining ? 'yes' : 'no'}; every=${Math.ceil(mostMs / 1_000)}`;
}

/** @param header its value; undefined when there is none, a list when it came more than once */
export function readQuestion(header: string | readonly string[] | undefined): Question | undefined {
  const [, draining, every] = (typeof header === 'string' && PATTERN.exec(header)) || [];
  const everyMs = Number(every) * 1_000;
  if (draining === undefined || !(everyMs <= FORWARDER_ASKS_EVERY_MS_MAX)) return undefined;
  return { draining: draining === 'yes', everyMs };
}
