/** The routes of defence: what it does, whom it sees, and prefixes that are blocked or allowed at runtime. */
import * as z from 'zod';
import { integer, text } from '../config/fields.js';
import { prefix } from '../config/name-fields.js';
import {
  LISTED_AT_ONCE_MAX,
  LISTED_FOR_MS_MAX,
  LISTED_FOR_MS_MIN,
  LISTED_WHY_CHARS_MAX,
} from '../core/limits.js';
import type { DefendActions } from './defend.js';
import { get, post, type Route } from './route.js';

const NONE = z.strictObject({});
const PREFIXES_EXPECTED = `a list of 1 to ${LISTED_AT_ONCE_MAX} prefixes or addresses`;
const prefixes = z
  .array(prefix, { error: PREFIXES_EXPECTED })
  .min(1, { error: PREFIXES_EXPECTED })
  .max(LISTED_AT_ONCE_MAX, { error: PREFIXES_EXPECTED })
  .describe('Prefixes, and addresses. All of them, or when one is refused, none.');
const LISTED = z.strictObject({
  prefixes,
  forMs: integer(
    `a whole number of milliseconds, ${LISTED_FOR_MS_MIN} to ${LISTED_FOR_MS_MAX}`,
    LISTED_FOR_MS_MIN,
    LISTED_FOR_MS_MAX,
  )
    .optional()
    .describe('For how long. Until it is taken back when left out.'),
  why: text(
    `printable text, 1 to ${LISTED_WHY_CHARS_MAX} characters`,
    new RegExp(`^[^\\p{C}]{1,${LISTED_WHY_CHARS_MAX}}$`, 'u'),
  )
    .optional()
    .describe('For those who ask later.'),
});

/** A list of a million prefixes takes a second or two to compile. */
const listing: typeof post = (...route) => ({ ...post(...route), besideOthers: true });

export function defendRoutes(actions: DefendActions): Route[] {
  return [
    get(
      '/defend',
      'DefendReport',
      'Rules against floods, what they did or would have done, lists, attacks.',
      NONE,
      () => actions.defend(),
    ),
    get('/defend/top', 'DefendTopReport', 'The sources that send most.', NONE, () => actions.defendTop()),
    listing(
      '/defend/block',
      'BlockReport',
      'Drops packets of sources, kept over restarts.',
      LISTED,
      (fields) => actions.block(fields),
    ),
    listing(
      '/defend/allow',
      'BlockReport',
      'Lets packets of sources pass lists and source_rate, kept over restarts.',
      LISTED,
      (fields) => actions.allow(fields),
    ),
    listing(
      '/defend/unblock',
      'BlockReport',
      'Takes back what was blocked or allowed at runtime.',
      z.strictObject({ prefixes }),
      (fields) => actions.unblock(fields),
    ),
  ];
}
