/** What of a fleet is said to people who ask for a change. */
import { AnyhopError } from '../core/errors.js';
import type { Revision } from './record.js';
import type { MemberView } from './view.js';

export const NAMES_SHOWN_MAX = 10;

export function refused(message: string, hint: string, exitCode = 1): AnyhopError {
  return new AnyhopError('ERR_FLEET', message, { hint, exitCode });
}

export function describe({ number, by, message }: Revision): string {
  return `revision ${number} by ${by}${message === '' ? '' : ` ("${message}")`}`;
}

/** Places of members, the first few. @param lacks what each is not */
export function names(members: readonly MemberView[], lacks = ''): string[] {
  const shown = members
    .slice(0, NAMES_SHOWN_MAX)
    .map(({ place }) => (lacks === '' ? place : `${place} is not ${lacks}`));
  const others = members.length - shown.length;
  return others === 0 ? shown : [...shown, `${others} others`];
}
