/** What tries a backend: one kind a file. A probe lives as long as its target, so that a check makes no closures. */
import { printable } from '../core/printable.js';
import { reasonWithPlace } from '../core/reason.js';

/**
 * Called once for each check that was started and not cancelled.
 * @param failure why the check failed, for a log line, without a full stop; undefined when it was good
 * @param isOwnFault the check could not be made: it says nothing of the backend
 */
export type Done = (failure: string | undefined, isOwnFault?: boolean) => void;

export interface Probe {
  /** Starts a check; none is running. */
  start(): void;
  /** Ends the one that is running. @returns what did not come, for "... within 1s" */
  cancel(): string;
  /** Ends for good; none is running. */
  close?(): void;
}

/** The process lacks descriptors, ports or memory, or this host's own filter stops it. */
const OWN_FAULTS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EPERM']);

/** Ends a check with what a socket said. */
export function fail(done: Done, error: Error): void {
  // Of OpenSSL's own messages, "error:0A00010B:SSL routines:function:reason:file:line:", the reason is for people.
  const reason = /:SSL routines:[^:\n]*:([^:\n]+)/.exec(error.message)?.[1];
  const { code } = error as NodeJS.ErrnoException;
  // Of a certificate, say, it repeats what the other end wrote.
  done(
    reason === undefined ? reasonWithPlace(error) : `TLS: ${printable(reason)}`,
    OWN_FAULTS.has(code ?? ''),
  );
}

/** For sockets that are over and may have more to say. */
export function ignore(): void {}
