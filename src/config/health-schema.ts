/**
 * The schema of `pools.NAME.health`: one check, or a list of them. Some fields are only for some kinds; rules/health.ts enforces that.
 */
import * as z from 'zod';
import {
  HEALTH_BYTES_MAX,
  HEALTH_CHECKS_MAX,
  HEALTH_COUNT_MAX,
  HEALTH_FALL_DEFAULT,
  HEALTH_INTERVAL_MS_DEFAULT,
  HEALTH_INTERVAL_MS_MAX,
  HEALTH_INTERVAL_MS_MIN,
  HEALTH_JITTER_DEFAULT,
  HEALTH_JITTER_MAX,
  HEALTH_RISE_DEFAULT,
  HEALTH_TIMEOUT_MS_DEFAULT,
  HEALTH_TIMEOUT_MS_MIN,
} from '../core/limits.js';
import { formatDuration } from '../core/time.js';
import { choice, duration, integer, named, statusCodes, text } from './fields.js';

const HEALTH_KINDS = ['tcp', 'http', 'https', 'udp', 'tunnel', 'none'] as const;

const BYTES_EXPECTED = `text with one byte per character (in double quotes \\x00 to \\xff), 1 to ${HEALTH_BYTES_MAX} of them`;
const JITTER_EXPECTED = `a share of the interval, 0 to ${HEALTH_JITTER_MAX}`;
const HOST_EXPECTED = 'a host name or address';
/** A Host header, with or without a port. */
const HOST_PATTERN = /^[A-Za-z0-9_.:[\]-]{1,255}$/;
const NAME_PATTERN = /^(?![0-9.]+$)[A-Za-z0-9_.-]{1,253}$/;
const CHECK_EXPECTED = 'a mapping {kind: ...}';
const CHECKS_EXPECTED = `${CHECK_EXPECTED}, or a list of 1 to ${HEALTH_CHECKS_MAX} of them`;
const TLS_EXPECTED = 'a mapping {verify: ..., server_name: ..., ca_file: ...}';

const count = integer(`a whole number, 1 to ${HEALTH_COUNT_MAX}`, 1, HEALTH_COUNT_MAX);
/** Each character is a byte, as in ISO 8859-1. */
const bytes = text(BYTES_EXPECTED, new RegExp(`^[\\u0000-\\u00ff]{1,${HEALTH_BYTES_MAX}}$`));

const tls = z.strictObject(
  {
    verify: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe('Whether the certificate must be valid, trusted and issued for the name.'),
    server_name: text('a host name', NAME_PATTERN)
      .optional()
      .describe(
        'Name to send as SNI and to verify in the certificate. Default: the name in host, or the address of the backend.',
      ),
    ca_file: z
      .string({ error: 'the path of a file' })
      .min(1, { error: 'the path of a file' })
      .optional()
      .describe(
        'PEM file with the certificates to trust instead of the well-known ones. The path is relative to the config file.',
      ),
  },
  { error: TLS_EXPECTED },
);

/** Fields of all kinds, of both HTTP kinds, and of single kinds. */
const common = {
  kind: choice(HEALTH_KINDS).describe(
    'What a check does: open a connection, send a request or a datagram, send a SYN to the VIP through the tunnel, or nothing.',
  ),
  port: integer('a port, 1 to 65535', 1, 65535)
    .optional()
    .describe('Port to check. Default: the port of the services, if all have the same one.'),
  interval: named(
    'intervalMs',
    duration(HEALTH_INTERVAL_MS_MIN, HEALTH_INTERVAL_MS_MAX)
      .prefault(formatDuration(HEALTH_INTERVAL_MS_DEFAULT))
      .describe('Time between two checks of a backend.'),
  ),
  timeout: named(
    'timeoutMs',
    duration(HEALTH_TIMEOUT_MS_MIN, HEALTH_INTERVAL_MS_MAX)
      .prefault(formatDuration(HEALTH_TIMEOUT_MS_DEFAULT))
      .describe('Time limit of a whole check, at most the interval minus its jitter.'),
  ),
  rise: count
    .default(HEALTH_RISE_DEFAULT)
    .describe('Successful checks in a row after which a backend is up again.'),
  fall: count.default(HEALTH_FALL_DEFAULT).describe('Failed checks in a row after which a backend is down.'),
  jitter: z
    .number({ error: JITTER_EXPECTED })
    .min(0, { error: JITTER_EXPECTED })
    .max(HEALTH_JITTER_MAX, { error: JITTER_EXPECTED })
    .default(HEALTH_JITTER_DEFAULT)
    .describe('Largest random delay of a check, as a share of the interval.'),
};
const http = {
  path: text('a path, "/healthz"', /^\/[!-~]*$/)
    .default('/')
    .describe('http, https: path of the request.'),
  host: text(HOST_EXPECTED, HOST_PATTERN)
    .optional()
    .describe('http, https: Host header. Default: the address and port of the backend.'),
  status: statusCodes()
    .prefault('200-399')
    .describe('http, https: status, or range of statuses, of a healthy backend.'),
  body: z
    .string({ error: 'text' })
    .min(1, { error: 'text' })
    .max(HEALTH_BYTES_MAX, { error: `text of ${HEALTH_BYTES_MAX} characters at most` })
    .optional()
    .describe('http, https: text that the first 64 KiB of the body must contain.'),
};
const https = {
  tls: tls.optional().describe('https: how the certificate is verified.'),
};
const udp = {
  payload: bytes.optional().describe('udp: datagram to send, one byte per character.'),
  answer: bytes.optional().describe('udp: bytes that the answer must contain. Default: any answer is good.'),
};

export const healthCheck = z.strictObject(
  { ...common, ...http, ...https, ...udp },
  { error: CHECK_EXPECTED },
);

/** rules/health-lists.ts checks the number, so that one too many does not hide mistakes inside. */
export const health = z.union(
  [
    healthCheck,
    z
      .array(healthCheck, { error: CHECKS_EXPECTED })
      .min(1, { error: CHECKS_EXPECTED })
      .meta({ maxItems: HEALTH_CHECKS_MAX }),
  ],
  { error: CHECKS_EXPECTED },
);

/** The allowed keys of each kind. `none` allows all, so that changing one word turns a check off. */
export const HEALTH_KEYS: Readonly<
  Record<Exclude<(typeof HEALTH_KINDS)[number], 'none'>, ReadonlySet<string>>
> = {
  tcp: keysOf(common),
  http: keysOf({ ...common, ...http }),
  https: keysOf({ ...common, ...http, ...https }),
  udp: keysOf({ ...common, ...udp }),
  tunnel: keysOf(common),
};

function keysOf(fields: object): ReadonlySet<string> {
  return new Set(Object.keys(fields));
}
