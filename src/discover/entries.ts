/** The list that a file or an HTTP server gives: `[{name, address, port?, weight?, draining?}, ...]`, in YAML or JSON. */
import * as z from 'zod';
import { GROUP_KINDS, type GroupKind } from '../config/discover/kinds.js';
import { ConfigDocument } from '../config/document.js';
import { ConfigError, formatProblem } from '../config/error.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../config/name-fields.js';
import { formatPath } from '../config/path.js';
import { decodeText } from '../config/text.js';
import { printable } from '../core/printable.js';
import { parseAddress } from '../packet/address.js';
import type { Found } from './answer.js';
import { portOf, type Reading } from './reading.js';

const PORT_EXPECTED = 'expected a port, 1 to 65535';
const PORT_MAX = 65_535;

const entryFields = {
  name: z
    .string({ error: `expected ${NAME_EXPECTED}` })
    .regex(NAME_PATTERN, { error: `expected ${NAME_EXPECTED}` }),
  address: z.string({ error: 'expected an IPv4 or IPv6 address' }).transform((text, context) => {
    const address = parseAddress(text);
    if (address === undefined) context.addIssue('expected an IPv4 or IPv6 address');
    return address?.text ?? z.NEVER;
  }),
  draining: z.boolean({ error: 'expected true or false' }).optional(),
};
const port = z
  .int({ error: PORT_EXPECTED })
  .min(1, { error: PORT_EXPECTED })
  .max(PORT_MAX, { error: PORT_EXPECTED })
  .optional();

function entriesOf<P extends z.ZodRawShape>(kind: GroupKind, more: P) {
  const { one, weightMax, most } = GROUP_KINDS[kind];
  const weightExpected = `expected a whole number, 0 to ${weightMax}`;
  const weight = z
    .int({ error: weightExpected })
    .min(0, { error: weightExpected })
    .max(weightMax, { error: weightExpected })
    .optional();
  const error = ({ code, keys }: z.core.$ZodRawIssue): string =>
    code === 'unrecognized_keys'
      ? `has the unknown key ${printable((keys as string[])[0] ?? '')}`
      : 'expected a mapping {name: ..., address: ...}';
  return z
    .array(z.strictObject({ ...entryFields, weight, ...more }, { error }), {
      error: `expected a list of ${one}s: - {name: ..., address: ...}`,
    })
    .max(2 * most, { error: `has more than ${2 * most} entries` });
}

const ENTRIES = { pool: entriesOf('pool', {}), upstream: entriesOf('upstream', { port }) };

/** @param where for messages @throws Error with the place and what was expected there */
export function readEntries(bytes: Uint8Array, where: string, reading: Reading): Found[] {
  const schema: z.ZodType<Found[]> = ENTRIES[reading.kind];
  const { data, error } = schema.safeParse(yamlValue(bytes, where));
  if (error === undefined)
    return data.map(({ port: said, ...one }) => ({
      ...one,
      ...portOf(`${where} ${one.name}`, said, reading),
    }));
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
