/** The shape of `pools.NAME.health`: how the backends of a pool are checked. Which field is for which kind: rules/health.ts. */
import { z } from 'zod';
import {
  HEALTH_BYTES_MAX,
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
import { choice, duration, integer, named, reading, text } from './fields.js';
import { parseStatusCodes, type StatusCodes } from './status-codes.js';

const HEALTH_KINDS = ['tcp', 'http', 'https', 'udp', 'tunnel', 'none'] as const;

const STATUS_EXPECTED = 'an HTTP status, 100 to 599, or a range in quotes, "200-399"';
const BYTES_EXPECTED = `text of which each character is a byte (in double quotes \\x00 to \\xff), 1 to ${HEALTH_BYTES_MAX} of them`;
const JITTER_EXPECTED = `a share of the interval, 0 to ${HEALTH_JITTER_MAX}`;
const HOST_EXPECTED = 'a host name or address';
/** What may stand in a Host header, port included. */
const HOST_PATTERN = /^[A-Za-z0-9_.:[\]-]{1,255}$/;
const NAME_PATTERN = /^(?![0-9.]+$)[A-Za-z0-9_.-]{1,253}$/;
const TLS_EXPECTED = 'a mapping {verify: ..., server_name: ..., ca_file: ...}';

const count = integer(`a whole number, 1 to ${HEALTH_COUNT_MAX}`, 1, HEALTH_COUNT_MAX);
/** Each character a byte: what ISO 8859-1 encodes. */
const bytes = text(BYTES_EXPECTED, new RegExp(`^[\\u0000-\\u00ff]{1,${HEALTH_BYTES_MAX}}$`));

const tls = z.strictObject(
  {
    verify: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe('Whether the certificate must be valid, trusted, and for the name.'),
    server_name: text('a host name', NAME_PATTERN)
      .optional()
      .describe(
        'Name to ask for (SNI) and that the certificate must be for; that of host when left out, else the address.',
      ),
    ca_file: z
      .string({ error: 'the path of a file' })
      .min(1, { error: 'the path of a file' })
      .optional()
      .describe('Certificates to trust instead of the well-known ones, in PEM; relative to the config file.'),
  },
  { error: TLS_EXPECTED },
);

export const health = z.strictObject(
  {
    kind: choice(HEALTH_KINDS).describe(
      'What is tried: a connection, a request, a datagram, a SYN to the VIP through the tunnel, or nothing.',
    ),
    port: integer('a port, 1 to 65535', 1, 65535)
      .optional()
      .describe("Port of the check; left out, the services' own, when it is the same one for all."),
    interval: named(
      'intervalMs',
      duration(HEALTH_INTERVAL_MS_MIN, HEALTH_INTERVAL_MS_MAX)
        .prefault(formatDuration(HEALTH_INTERVAL_MS_DEFAULT))
        .describe('Time from one check of a backend to the next.'),
    ),
    timeout: named(
      'timeoutMs',
      duration(HEALTH_TIMEOUT_MS_MIN, HEALTH_INTERVAL_MS_MAX)
        .prefault(formatDuration(HEALTH_TIMEOUT_MS_DEFAULT))
        .describe('Time that one check may take in all; no longer than the interval less its jitter.'),
    ),
    rise: count.default(HEALTH_RISE_DEFAULT).describe('Good checks in a row that take a backend up again.'),
    fall: count.default(HEALTH_FALL_DEFAULT).describe('Failed checks in a row that take a backend down.'),
    jitter: z
      .number({ error: JITTER_EXPECTED })
      .min(0, { error: JITTER_EXPECTED })
      .max(HEALTH_JITTER_MAX, { error: JITTER_EXPECTED })
      .default(HEALTH_JITTER_DEFAULT)
      .describe('Share of the interval by which a check may come later than its even time.'),
    path: text('a path, "/healthz"', /^\/[!-~]*$/)
      .default('/')
      .describe('http, https: the path to get.'),
    host: text(HOST_EXPECTED, HOST_PATTERN)
      .optional()
      .describe('http, https: the Host header; the address and port of the backend when left out.'),
    status: z
      .union(
        [integer(STATUS_EXPECTED, 100, 599), text(STATUS_EXPECTED, /^[1-5][0-9]{2}(-[1-5][0-9]{2})?$/)],
        {
          error: STATUS_EXPECTED,
        },
      )
      .transform(reading(STATUS_EXPECTED, (value): StatusCodes | undefined => parseStatusCodes(value)))
      .prefault('200-399')
      .describe('http, https: the status, or range of statuses, that is good.'),
    body: z
      .string({ error: 'text' })
      .min(1, { error: 'text' })
      .max(HEALTH_BYTES_MAX, { error: `text of ${HEALTH_BYTES_MAX} characters at most` })
      .optional()
      .describe('http, https: text that must stand in the first 64 KiB of the body.'),
    tls: tls.optional().describe('https: how the certificate is judged.'),
    payload: bytes.optional().describe('udp: the datagram to send, each character a byte.'),
    answer: bytes
      .optional()
      .describe('udp: bytes that must stand in the answer; any answer will do when left out.'),
  },
  { error: 'a mapping {kind: ...}' },
);
