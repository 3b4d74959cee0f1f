/** The list of backends that a file or an HTTP server gives: `[{name, address, weight?, draining?}, ...]`, in YAML or JSON. */
import * as z from 'zod';
import { ConfigDocument } from '../config/document.js';
import { ConfigError, formatProblem } from '../config/error.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../config/name-fields.js';
import { formatPath } from '../config/path.js';
import { decodeText } from '../config/text.js';
import { BACKENDS_PER_POOL_MAX, WEIGHT_MAX } from '../core/limits.js';
import { printable } from '../core/printable.js';
import { parseAddress } from '../packet/address.js';
import type { FoundBackend } from './answer.js';

const WEIGHT_EXPECTED = `expected a whole number, 0 to ${WEIGHT_MAX}`;

const entries = z
  .array(
    z.strictObject(
      {
        name: z
          .string({ error: `expected ${NAME_EXPECTED}` })
          .regex(NAME_PATTERN, { error: `expected ${NAME_EXPECTED}` }),
        address: z.string({ error: 'expected an IPv4 or IPv6 address' }).transform((text, context) => {
          const address = parseAddress(text);
          if (address === undefined) context.addIssue('expected an IPv4 or IPv6 address');
          return address?.text ?? z.NEVER;
        }),
        weight: z
          .int({ error: WEIGHT_EXPECTED })
          .min(0, { error: WEIGHT_EXPECTED })
          .max(WEIGHT_MAX, { error: WEIGHT_EXPECTED })
          .optional(),
        draining: z.boolean({ error: 'expected true or false' }).optional(),
      },
      {
        error: (issue) =>
          issue.code === 'unrecognized_keys'
            ? `has the unknown key ${printable(issue.keys[0] ?? '')}`
            : 'expected a mapping {name: ..., address: ...}',
      },
    ),
    { error: 'expected a list of backends: - {name: ..., address: ...}' },
  )
  .max(2 * BACKENDS_PER_POOL_MAX, { error: `has more than ${2 * BACKENDS_PER_POOL_MAX} entries` });

/** @param where for messages @throws Error with the place and what was expected there */
export function readEntries(bytes: Uint8Array, where: string): FoundBackend[] {
  const { data, error } = entries.safeParse(yamlValue(bytes, where));
  if (error === undefined) return data;
  // A key with a typing error is the cause of one that is missing.
  const { path, message } = error.issues.find(({ code }) => code === 'unrecognized_keys') ?? error.issues[0]!;
  const place = formatPath(path as (string | number)[]);
  throw new Error(`${where}${place === '' ? '' : ` ${place}`}: ${message}`);
}

function yamlValue(bytes: Uint8Array, where: string): unknown {
  const text = decodeText(bytes);
  if (typeof text !== 'string') throw new Error(`${where}:${text.line}: ${text.message}`);
  try {
    const { value, problems } = new ConfigDocument(text, where);
    if (problems.length === 0) return value;
    throw new ConfigError(problems);
  } catch (error) {
    if (error instanceof ConfigError) throw new Error(formatProblem(error.problems[0]!));
    throw error;
  }
}
