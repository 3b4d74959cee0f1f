/** What a process does with revisions: prepare one beside what is in force, then switch to it, or let it go. */
import type { RevisionText } from '../config/load.js';
import type { Missed } from './missed.js';
import type { Revision } from './record.js';
import type { SaidByMember } from './said.js';

export interface Follower {
  /**
   * Makes all ready that can be made ready beside what is in force.
   * @returns the digest of what it makes of it (digest.ts), and what it would wait for
   * @throws AnyhopError when it cannot take it
   */
  prepare(revision: Revision, text: RevisionText): Promise<Prepared>;
  /** What was prepared is not to come. */
  release(): void;
  /** @throws AnyhopError when it cannot; what was in force stays */
  activate(revision: Revision, text: RevisionText): Promise<void>;
  /**
   * Of a process that remembers what was in force: what was, elsewhere, while it had something else; newest first.
   * @throws AnyhopError when it cannot remember it
   */
  recall?(missed: readonly Missed[]): Promise<void>;
  standing(): Pick<SaidByMember, 'ready' | 'reason' | 'owners' | 'keys' | 'publicKey'>;
}

export interface Prepared {
  readonly digest: string;
  readonly waits: readonly string[];
}
