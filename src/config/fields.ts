/** Kinds of fields of the schema; `expected` is the second half of their messages. */
import * as z from 'zod';
import { DURATION_PATTERN, formatDuration, parseDuration } from '../core/time.js';
import { type PortRange, parsePorts } from './ports.js';
import { parseStatusCodes, type StatusCodes } from './status-codes.js';

export function text(expected: string, pattern: RegExp) {
  return z.string({ error: expected }).regex(pattern, { error: expected });
}

export function integer(expected: string, min: number, max: number) {
  return z.int({ error: expected }).min(min, { error: expected }).max(max, { error: expected });
}

export function choice<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values, {
    error: `${values.slice(0, -1).join(', ')}${values.length > 1 ? ' or ' : ''}${values.at(-1)}`,
  });
}

/** Text that `read` parses; undefined if it cannot. */
export function parsed<T>(
  expected: string,
  read: (text: string) => T | undefined,
  pattern: RegExp | undefined = undefined,
) {
  const schema = pattern === undefined ? z.string({ error: expected }) : text(expected, pattern);
  return schema.transform(reading(expected, read));
}

/** A transform that refuses what `read` cannot parse. */
export function reading<In, Out>(expected: string, read: (value: In) => Out | undefined) {
  return (value: In, context: z.core.$RefinementCtx<In>): Out => {
    const result = read(value);
    if (result === undefined) context.addIssue(expected);
    return result ?? z.NEVER;
  };
}

export function duration(minMs: number, maxMs: number) {
  const expected = `a time with its unit (500ms, 2s, 5m, 1h), ${limitText(minMs)} to ${limitText(maxMs)}`;
  return parsed(
    expected,
    (value) => {
      const ms = parseDuration(value);
      return ms !== undefined && ms >= minMs && ms <= maxMs ? ms : undefined;
    },
    DURATION_PATTERN,
  );
}

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;

/** In years or days where it is a whole number of them. */
function limitText(ms: number): string {
  if (ms >= YEAR_MS && ms % YEAR_MS === 0) return `${ms / YEAR_MS}y`;
  return ms > DAY_MS && ms % DAY_MS === 0 ? `${ms / DAY_MS}d` : formatDuration(ms);
}

const PORT_EXPECTED = 'a port, 1 to 65535, or a range in quotes, "8000-8999"';

export function ports() {
  return z
    .union([integer(PORT_EXPECTED, 1, 65535), text(PORT_EXPECTED, /^[0-9]{1,5}(-[0-9]{1,5})?$/)], {
      error: PORT_EXPECTED,
    })
    .transform(reading(PORT_EXPECTED, (value): PortRange | undefined => parsePorts(value)));
}

const STATUS_EXPECTED = 'an HTTP status, 100 to 599, or a range in quotes, "200-399"';

export function statusCodes() {
  return z
    .union([integer(STATUS_EXPECTED, 100, 599), text(STATUS_EXPECTED, /^[1-5][0-9]{2}(-[1-5][0-9]{2})?$/)], {
      error: STATUS_EXPECTED,
    })
    .transform(reading(STATUS_EXPECTED, (value): StatusCodes | undefined => parseStatusCodes(value)));
}

/** `off` or `on`, as a boolean. */
export function onOff() {
  return choice(['on', 'off']).transform((value) => value === 'on');
}

const SHARE_EXPECTED = 'a share: a number, 0 to 1, or a percentage, 0% to 100%';

/** `0.5` or `50%`, as a number from 0 to 1. */
export function share() {
  return z
    .union(
      [
        z
          .number({ error: SHARE_EXPECTED })
          .min(0, { error: SHARE_EXPECTED })
          .max(1, { error: SHARE_EXPECTED }),
        text(SHARE_EXPECTED, /^(100|[0-9]{1,2})%$/),
      ],
      { error: SHARE_EXPECTED },
    )
    .transform((value) => (typeof value === 'number' ? value : Number(value.slice(0, -1)) / 100));
}

/** A whole number, also as `50k` (thousands) or `1M` (millions). */
export function count(expected: string, min: number, max: number) {
  return z
    .union([integer(expected, min, max), text(expected, /^[0-9]{1,10}[kM]?$/)], { error: expected })
    .transform(
      reading(expected, (value) => {
        const factor = String(value).endsWith('k') ? 1e3 : String(value).endsWith('M') ? 1e6 : 1;
        const number = Number.parseInt(String(value), 10) * factor;
        return number >= min && number <= max ? number : undefined;
      }),
    );
}

declare const NAME: unique symbol;
/** A field with the name N in the program. */
export interface Named<N extends string> {
  readonly [NAME]?: N;
}
const names = new WeakMap<z.core.$ZodType, string>();

/** Gives a field another name in the program than its key in camel case: `settle_time` is `settleMs`. */
export function named<const N extends string, S extends z.ZodType>(name: N, schema: S): S & Named<N> {
  names.set(schema, name);
  return schema;
}

/** The name of a field in the program. */
export function nameOf(key: string, schema: z.core.$ZodType): string {
  return names.get(schema) ?? key.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}
