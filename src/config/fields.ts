/** Kinds of fields that the schema is made of; `expected` is the second half of their message. */
import { z } from 'zod';
import { DURATION_PATTERN, formatDuration, parseDuration } from '../core/time.js';
import { parsePorts } from './ports.js';

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

/** A time within bounds. */
export function duration(minMs: number, maxMs: number) {
  const expected = `a time with its unit (500ms, 2s, 5m, 1h), ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return text(expected, DURATION_PATTERN).refine(
    (value) => {
      const ms = parseDuration(value);
      return ms !== undefined && ms >= minMs && ms <= maxMs;
    },
    { error: expected },
  );
}

const PORT_EXPECTED = 'a port, 1 to 65535, or a range in quotes, "8000-8999"';

/** A port, or a range of ports. */
export function ports() {
  return z
    .union([integer(PORT_EXPECTED, 1, 65535), text(PORT_EXPECTED, /^[0-9]{1,5}(-[0-9]{1,5})?$/)], {
      error: PORT_EXPECTED,
    })
    .refine((value) => parsePorts(value) !== undefined, { error: PORT_EXPECTED });
}
