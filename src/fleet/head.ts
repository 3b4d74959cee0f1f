/**
 * The latest revision that is in force anywhere in the fleet, as far as a member has heard, and what that means for one that has another.
 *
 *   now/active of the store -------------------------------\
 *   other forwarders, where the store has forgotten theirs --> signed by the operator? later than all heard before? --> the head
 *   siblings, while the store is away ---------------------/
 *
 * A member that is not at the head is not to serve: it decides otherwise than the others. One that has the head prepared is switching
 * to it with all the others, and gets some time for that. What is not signed counts for nothing here: whoever can write to the store
 * must not be able to withdraw a fleet. What a node has signed counts only where the member would take it (records.ts).
 *
 * Later is what the operator decided later: apply.ts lets no revision have an earlier time than its parent. Numbers alone do not tell
 * when the store has lost some, and the operator has used them again.
 */
import { formatDuration } from '../core/time.js';
import { BadRecord, digestOfText, opened, peeked, type Revision } from './record.js';
import type { Signer } from './revisions.js';

/** How long a member that has the head prepared may take to switch to it; forwarders wait for agents meanwhile (agents-have.ts). */
export const SWITCH_MS = 12_000;

/** A revision as far as it is compared. */
export interface Standing {
  readonly number: number;
  /** Of the record. */
  readonly digest: string;
  readonly atMs: number;
}

export const NOTHING_IN_FORCE: Standing = { number: 0, digest: '', atMs: 0 };

interface Heard extends Standing {
  /** Where it is in force. */
  readonly where: string;
  readonly sinceMs: number;
  /** Whether the member had it ready then. */
  readonly isPrepared: boolean;
}

export class Head {
  readonly #signer: Signer;
  #latest: Heard | undefined;

  constructor(signer: Signer) {
    this.#signer = signer;
  }

  /** @param where it is in force, in words @returns what it is; undefined when it is not the operator's word */
  hear(record: string, where: string): Standing | undefined {
    if (digestOfText(record) === this.#latest?.digest) return this.#latest;
    const standing = signedStanding(record, this.#signer);
    if (standing !== undefined) this.#take({ ...standing, where, isPrepared: false });
    return standing;
  }

  /** What was found to count, though the operator has not signed it. */
  hearFound(standing: Standing, where: string): void {
    this.#take({ ...standing, where, isPrepared: false });
  }

  /** What the member has ready is in force. */
  hearPrepared(standing: Standing): void {
    this.#take({ ...standing, where: 'in the fleet', isPrepared: true });
  }

  #take(heard: Omit<Heard, 'sinceMs'>): void {
    if (heard.atMs > (this.#latest?.atMs ?? 0)) this.#latest = { ...heard, sinceMs: performance.now() };
  }

  /** @param own in force at the member */
  isAbove(own: Standing): boolean {
    return this.#latest !== undefined && this.#latest.atMs > own.atMs;
  }

  /** Why a member is not to serve; undefined when it may. */
  behind(own: Standing): string | undefined {
    const head = this.#latest;
    if (head === undefined || head.atMs <= own.atMs) return undefined;
    if (head.isPrepared && performance.now() - head.sinceMs < SWITCH_MS) return undefined;
    const late = head.isPrepared ? `: it has not switched within ${formatDuration(SWITCH_MS)}` : '';
    const here = own.number === 0 ? 'none' : `${own.number}`;
    return `revision ${head.number} is in force ${head.where}, and ${here} here${late}`;
  }
}

/** Undefined for what the operator of this fleet has not signed. */
export function signedStanding(record: string, { name, operatorKey }: Signer): Standing | undefined {
  try {
    return standingOf(opened(record, name, operatorKey), digestOfText(record));
  } catch (error) {
    if (!(error instanceof BadRecord)) throw error;
    return undefined;
  }
}

/** @param digest of its record */
export function standingOf({ number, at }: Revision, digest: string): Standing {
  return { number, digest, atMs: Date.parse(at) };
}

/** Of a record that was judged before, whoever has signed it. @throws BadRecord */
export function knownStanding(record: string): Standing {
  return standingOf(peeked(record), digestOfText(record));
}

/** The time of a revision: later than that of its parent, whatever the operators' clocks say. */
export function timeAfter(parent: Pick<Revision, 'at'> | undefined): string {
  const afterMs = parent === undefined ? 0 : Date.parse(parent.at) + 1;
  return new Date(Math.max(Date.now(), afterMs)).toISOString();
}
