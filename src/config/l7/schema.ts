/**
 * The schema of the section `l7`: what the proxy hosts serve, and where requests go. Rules over several fields are in rules.ts and
 * the files that it calls.
 */
import * as z from 'zod';
import {
  L7_CONNECTIONS_DEFAULT,
  L7_CONNECTIONS_MAX,
  L7_CONNECTIONS_MIN,
  L7_DRAIN_DEADLINE_MS_DEFAULT,
  L7_FRONTENDS_MAX,
  L7_HEALTH_PORT_DEFAULT,
  L7_METRICS_PORT_DEFAULT,
  L7_RUN_DIRECTORY_CHARS_MAX,
  L7_RUN_DIRECTORY_DEFAULT,
  L7_TIMEOUT_MS_MAX,
  L7_UPSTREAMS_MAX,
  SOCKET_PATH_BYTES_MAX,
} from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { duration, integer, named, text } from '../fields.js';
import { metrics } from '../metrics/schema.js';
import { NAME_PATTERN } from '../name-fields.js';
import { l7Frontend } from './frontend-schema.js';
import { file, L7_KEY_EXPECTED, L7_KEY_PATTERN, port } from './patterns.js';
import { l7Upstream } from './upstream-schema.js';

/** What a path in HAProxy's configuration may hold. */
const PATH = '(?:/[A-Za-z0-9._-]+)+';
export const runDirectory = text(
  `an absolute path, ${L7_RUN_DIRECTORY_CHARS_MAX} characters at most, of letters, digits and "._-"`,
  new RegExp(`^(?=.{1,${L7_RUN_DIRECTORY_CHARS_MAX}}$)${PATH}$`),
);

export const l7 = z
  .strictObject(
    {
      key_file: file
        .optional()
        .describe(
          'File with the subkey of the tier, for session tickets and sticky cookies. "anyhop l7 key" derives it from the secret of the fleet, which proxy hosts do not need. Set this or key.',
        ),
      key: text(L7_KEY_EXPECTED, L7_KEY_PATTERN)
        .optional()
        .describe('The subkey of the tier in hexadecimal digits. Set this or key_file.'),
      metrics: metrics(L7_METRICS_PORT_DEFAULT).optional(),
      user: text('a user name', /^[a-z_][a-z0-9_-]{0,31}$/)
        .default('haproxy')
        .describe('User that HAProxy runs as when anyhop runs as root.'),
      run_dir: named(
        'runDirectory',
        runDirectory
          .default(L7_RUN_DIRECTORY_DEFAULT)
          .describe('Directory for what HAProxy reads, and for sockets.'),
      ),
      health_port: port
        .default(L7_HEALTH_PORT_DEFAULT)
        .describe(
          'Port on the underlay address of a proxy host that answers /anyhop-l7, for a health check of the pool.',
        ),
      max_connections: integer(
        `a whole number, ${L7_CONNECTIONS_MIN} to ${L7_CONNECTIONS_MAX}`,
        L7_CONNECTIONS_MIN,
        L7_CONNECTIONS_MAX,
      )
        .optional()
        .describe(
          `Client connections that a proxy host takes at the same time. Each needs two file descriptors. Default: ${L7_CONNECTIONS_DEFAULT}, or what the limit of open files allows.`,
        ),
      drain_deadline: named(
        'drainDeadlineMs',
        duration(1000, L7_TIMEOUT_MS_MAX)
          .prefault(formatDuration(L7_DRAIN_DEADLINE_MS_DEFAULT))
          .describe(
            'How long connections may go on after a drain or a reload of HAProxy; then they are closed.',
          ),
      ),
      access_log: text(
        `stdout, off, or the absolute path of a syslog socket, ${SOCKET_PATH_BYTES_MAX} characters at most`,
        new RegExp(`^(?:stdout|off|(?=.{1,${SOCKET_PATH_BYTES_MAX}}$)${PATH})$`),
      )
        .default('stdout')
        .describe(
          'Where the access log goes, a JSON object a request: standard output, nowhere, or a syslog socket such as /dev/log.',
        ),
      acme: z
        .strictObject(
          {
            thumbprint: text(
              'a JWK thumbprint, 43 characters: "anyhop l7 thumbprint" prints it',
              /^[A-Za-z0-9_-]{43}$/,
            ).describe('Thumbprint of the ACME account key (RFC 8555, section 8.1).'),
          },
          { error: 'a mapping {thumbprint: ...}' },
        )
        .optional()
        .describe('Every proxy host answers HTTP-01 challenges of this ACME account.'),
      frontends: z
        .record(z.string(), l7Frontend, { error: 'a mapping of frontends by name' })
        .meta({ maxProperties: L7_FRONTENDS_MAX, propertyNames: { pattern: NAME_PATTERN.source } })
        .describe('What clients connect to, by name.'),
      upstreams: z
        .record(z.string(), l7Upstream, { error: 'a mapping of upstreams by name' })
        .meta({ maxProperties: L7_UPSTREAMS_MAX, propertyNames: { pattern: NAME_PATTERN.source } })
        .describe('Servers that answer requests, by name.'),
    },
    { error: 'a mapping {frontends: ..., upstreams: ...}' },
  )
  .meta({ not: { required: ['key', 'key_file'] } })
  .describe('The layer-7 tier, for `anyhop l7 run` on the proxy hosts.');
