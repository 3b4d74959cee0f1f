/**
 * What a check is. Each is one file in checks/, with one idea: what it looks at, and what it finds there. A check changes nothing, says
 * nothing of a host that is set up right, and each of its findings has three sentences for the person on call.
 */
import type { Facts } from './facts.js';

/** What a host is to the fleet. One host may be several of these. */
export const WHERE = ['forwarder', 'backend', 'proxy', 'router'] as const;
export type Where = (typeof WHERE)[number];

/**
 *   error     packets are lost, or will be
 *   warning   slow, fragile, or wrong for some
 *   note      good to know
 */
export const LEVELS = ['error', 'warning', 'note'] as const;
export type Level = (typeof LEVELS)[number];

export interface Finding {
  readonly level: Level;
  /** What was seen: a value, and the file or the command that has it. */
  readonly saw: string;
  /** What that breaks. */
  readonly breaks: string;
  /** The line that mends it: a command, or a line of a file. */
  readonly mend: string;
}

export interface Check {
  /** Lower case with hyphens; stable, since programs read it. */
  readonly name: string;
  /** Where it has something to look at. */
  readonly where: readonly Where[];
  /** One sentence: what it looks at, and what must be there. */
  readonly looks: string;
  /**
   * @throws Unseen, AnyhopError or an error of the system when it cannot look; that is told beside the findings
   */
  run(facts: Facts): Promise<Finding[]> | Finding[];
}

/** A check could not look, and why. */
export class Unseen extends Error {}
