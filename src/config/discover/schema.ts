/** The schema of `backends_from` of a pool and of the section `discover`: where backends come from, and whose word on them is taken. */
import * as z from 'zod';
import {
  BACKENDS_PER_POOL_MAX,
  DISCOVER_DEBOUNCE_MS_DEFAULT,
  DISCOVER_DEBOUNCE_MS_MAX,
  DISCOVER_MAX_REMOVE_DEFAULT,
  DISCOVER_MIN_BACKENDS_DEFAULT,
} from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { duration, integer, named, share } from '../fields.js';
import { PREFIX_EXPECTED, path, prefix } from '../name-fields.js';
import { publicKey } from '../public-key.js';

const ALLOWED_EXPECTED = `a list, at least one: ${PREFIX_EXPECTED}`;
const MIN_EXPECTED = `a whole number, 1 to ${BACKENDS_PER_POOL_MAX}`;

/** Fields of `backends_from` that name a source; exactly one of them is there. */
export const SOURCE_KINDS = ['file'] as const;

export const backendsFrom = z
  .strictObject(
    {
      file: path
        .optional()
        .describe('A file with a list of backends in YAML or JSON, or a directory of such files; watched.'),
      allowed_addresses: z
        .array(prefix, { error: ALLOWED_EXPECTED })
        .min(1, { error: ALLOWED_EXPECTED })
        .describe(
          'Prefixes that the addresses of the backends are in. An answer with any other address is refused.',
        ),
      min_backends: integer(MIN_EXPECTED, 1, BACKENDS_PER_POOL_MAX)
        .default(DISCOVER_MIN_BACKENDS_DEFAULT)
        .describe('An answer that leaves fewer active backends than this takes none away.'),
      max_remove: share()
        .prefault(`${DISCOVER_MAX_REMOVE_DEFAULT * 100}%`)
        .describe(
          'An answer that takes away more than this share of the backends within the settle time takes none away. One backend may always go, unless this is 0.',
        ),
      debounce: named(
        'debounceMs',
        duration(0, DISCOVER_DEBOUNCE_MS_MAX)
          .prefault(formatDuration(DISCOVER_DEBOUNCE_MS_DEFAULT))
          .describe('How long an answer must stay the same before it changes anything.'),
      ),
    },
    { error: 'a mapping {file: ..., allowed_addresses: [...]}' },
  )
  .meta({ not: { not: { anyOf: SOURCE_KINDS.map((kind) => ({ required: [kind] })) } } })
  .describe('Where the backends come from. The program then writes `backends`, and drains who leaves.');

export const discover = z
  .strictObject(
    {
      keys: z
        .record(z.string(), publicKey('the public key that `anyhop fleet status` shows'), {
          error: 'a mapping of public keys by the name of the node',
        })
        .optional()
        .describe(
          'Public keys of the forwarders whose revisions are taken for pools with backends_from, by the name of the node. `anyhop fleet status` prints the lines.',
        ),
    },
    { error: 'a mapping {keys: {edge-1: ...}}' },
  )
  .describe('Which nodes of a fleet may put into force what they find.');
