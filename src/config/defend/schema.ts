/**
 * The schema of the sections `defend`: of the node, and of a pool or a service, which say otherwise what they name. What goes together is
 * checked in rules.ts; which of several holds for a service is decided in resolve.ts.
 */
import * as z from 'zod';
import {
  COOKIE_KEY_HEX_DIGITS,
  DEFEND_LIST_SOURCES_MAX,
  DEFEND_PER_MS_DEFAULT,
  DEFEND_PER_MS_MAX,
  DEFEND_PER_MS_MIN,
  DEFEND_RATE_MAX,
  DEFEND_RELOAD_MS_DEFAULT,
  DEFEND_RELOAD_MS_MAX,
  DEFEND_RELOAD_MS_MIN,
  DEFEND_SHRINK_MAX_DEFAULT,
} from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { choice, count, duration, integer, named, share } from '../fields.js';
import { file } from '../l7/patterns.js';
import { PREFIX_EXPECTED, prefix } from '../name-fields.js';
import { DEFEND_MODES, SYN_COOKIES } from './types.js';

const RATE_EXPECTED = `a number of packets, 1 to ${DEFEND_RATE_MAX}, also with k (1000) or M`;
const COOKIES_EXPECTED = 'off, auto or always, or a mapping {when: auto, mode: observe}';
const LISTED_EXPECTED = `${PREFIX_EXPECTED}; or a mapping {file: PATH}`;
const LIST_EXPECTED = 'a list of prefixes and files: [192.0.2.0/24, {file: PATH}]';

const rate = count(RATE_EXPECTED, 1, DEFEND_RATE_MAX);
const mode = choice(DEFEND_MODES).optional();
const ruleMode = mode.describe('Mode of this rule. Default: that of the section.');
function per(meaning: string) {
  const window = duration(DEFEND_PER_MS_MIN, DEFEND_PER_MS_MAX).optional();
  return named('perMs', window.describe(`${meaning} Default: ${formatDuration(DEFEND_PER_MS_DEFAULT)}.`));
}

const limits = {
  packets: rate.optional().describe('Packets of one source in a window. Default: any number.'),
  syn: rate.optional().describe('TCP connection attempts of one source in a window. Default: any number.'),
};

const sourceRate = z
  .strictObject(
    {
      ...limits,
      per: per('Length of the sliding window, the same in all source_rate of a file.'),
      by: choice(['address', 'network'])
        .default('address')
        .describe('What one source is: an address (IPv6: a /64), or a network, /24 (IPv6: /48).'),
      prefix4: integer('a whole number, 8 to 32', 8, 32)
        .optional()
        .describe('Bits of an IPv4 address that are one source. Default: by `by`, 32 or 24.'),
      prefix6: integer('a whole number, 32 to 128', 32, 128)
        .optional()
        .describe('Bits of an IPv6 address that are one source. Default: by `by`, 64 or 48.'),
      network: z
        .strictObject(
          {
            packets: rate.optional().describe('Packets of all sources of a network in a window.'),
            syn: rate.optional().describe('TCP connection attempts of all sources of a network in a window.'),
          },
          { error: 'a mapping {packets: ..., syn: ...}' },
        )
        .optional()
        .describe('Limit for all of a /24 (IPv6: /48) together, beside that of one source. Default: none.'),
      mode: ruleMode,
    },
    { error: 'a mapping {packets: 50k, syn: 500}' },
  )
  .optional()
  .describe('What one source may send to a service. Default: no limit.');

const serviceRate = z
  .strictObject(
    {
      syn: rate
        .optional()
        .describe('TCP connection attempts that may pass to the backends of a service in a window.'),
      per: per('Length of the sliding window.'),
      mode: ruleMode,
    },
    { error: 'a mapping {syn: 200k}' },
  )
  .optional()
  .describe('What the backends of one TCP service can take. Default: no limit.');

const synCookies = z
  .union(
    [
      z.enum(SYN_COOKIES),
      z.strictObject(
        {
          when: z.enum(SYN_COOKIES).describe('When SYNs are answered.'),
          mode: z.enum(DEFEND_MODES).optional().describe('Mode of this rule.'),
        },
        { error: COOKIES_EXPECTED },
      ),
    ],
    { error: COOKIES_EXPECTED },
  )
  .optional()
  .describe(
    'Whether the node itself answers TCP connection attempts, with SYN cookies. auto: while there are more than four times as many as in the ' +
      'last ten minutes, and at least 1000 a second. Default: off.',
  );

const rules = {
  mode: mode.describe(
    'enforce: rules drop. observe: they count what they would drop, and drop nothing. Default: that of the pool, of the node, enforce.',
  ),
  source_rate: sourceRate,
  service_rate: serviceRate,
  syn_cookies: synCookies,
};

/** Of a pool or a service. */
export const defendOtherwise = z
  .strictObject(rules, { error: 'a mapping {mode: off}, or {source_rate: {...}}' })
  .optional()
  .describe('What holds here instead of the same fields of defend. mode: off leaves all of it.');

const listed = z.union(
  [
    prefix,
    z.strictObject(
      {
        file: file.describe('A prefix or address a line; # begins a comment.'),
        reload: duration(DEFEND_RELOAD_MS_MIN, DEFEND_RELOAD_MS_MAX)
          .prefault(formatDuration(DEFEND_RELOAD_MS_DEFAULT))
          .describe('How often it is looked at, beside being watched.'),
      },
      { error: LISTED_EXPECTED },
    ),
  ],
  { error: LISTED_EXPECTED },
);

function list(what: string) {
  return z
    .array(listed, { error: LIST_EXPECTED })
    .meta({ maxItems: DEFEND_LIST_SOURCES_MAX })
    .optional()
    .describe(
      `${what} An entry is a prefix, or {file: PATH, reload: ${formatDuration(DEFEND_RELOAD_MS_DEFAULT)}}: a file with a prefix a line, watched, and looked at in that interval.`,
    );
}

export const defend = z
  .strictObject(
    {
      ...rules,
      mode: mode.describe(
        'Default of every rule. enforce: rules drop. observe: they count what they would drop, and drop nothing. Default: enforce.',
      ),
      allow: list('Sources that no list blocks and no source_rate limits.'),
      block: list(
        'Sources whose packets to services are dropped. Of two prefixes the longer decides, of equal ones allow.',
      ),
      max_shrink: share()
        .prefault(DEFEND_SHRINK_MAX_DEFAULT)
        .describe(
          'A file that loses more than this share of its prefixes at once is not believed: the former ones stay.',
        ),
      cookie_key_file: file
        .optional()
        .describe(
          `File with the key of SYN cookies, ${COOKIE_KEY_HEX_DIGITS} hexadecimal digits, the same on forwarders and backends. Default: made from the secret of the fleet.`,
        ),
      former_cookie_key_file: file
        .optional()
        .describe('File with another key whose cookies agents accept too, for a change of the key.'),
    },
    { error: 'a mapping {mode: observe, source_rate: {...}, ...}' },
  )
  .optional()
  .describe('What the node does against floods. Default: nothing.');
