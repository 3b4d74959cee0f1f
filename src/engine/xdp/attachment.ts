/** The set behind the program that a former process left attached, and the ends of an attachment: detached, and pins removed. */
import { unlinkSync } from 'node:fs';
import { AnyhopError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { type Attachment, linkPath } from '../../pins/attachment.js';
import { entries } from '../../pins/directory.js';
import { listSets, PinnedSet, programOf, removeSet } from './pinned-set.js';

/**
 * The set that is in force behind an attachment.
 * @returns undefined when there is none that this version can read
 */
export function findSet(directory: string, { programId }: Attachment, log: Logger): PinnedSet | undefined {
  const number = listSets(directory).find((each) => programOf(directory, each) === programId);
  if (number === undefined) return undefined;
  try {
    return PinnedSet.open(directory, number);
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    log.warn({ event: 'pins_unreadable', directory }, `what is in force cannot be read: ${error.message}`);
    return undefined;
  }
}

/** Removes the pins of what is no longer attached. @returns whether there were some */
export function removeStale(directory: string): boolean {
  const sets = listSets(directory);
  for (const number of sets) removeSet(directory, number);
  const hadLink = entries(directory).includes('link');
  if (hadLink) unlinkSync(linkPath(directory));
  return hadLink || sets.length > 0;
}

/** Takes the program off the interface, and removes all pins of it. */
export function detach(attachment: Attachment, directory: string): void {
  attachment.link.detach();
  attachment.link.descriptor.close();
  removeStale(directory);
}
