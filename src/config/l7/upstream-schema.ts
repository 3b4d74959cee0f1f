/** The schema of `l7.upstreams`: servers, how one is chosen, and how they are checked. */
import * as z from 'zod';
import {
  HEALTH_COUNT_MAX,
  HEALTH_FALL_DEFAULT,
  HEALTH_INTERVAL_MS_DEFAULT,
  HEALTH_INTERVAL_MS_MAX,
  HEALTH_INTERVAL_MS_MIN,
  HEALTH_RISE_DEFAULT,
  HEALTH_TIMEOUT_MS_DEFAULT,
  HEALTH_TIMEOUT_MS_MIN,
  L7_ANSWER_MS_DEFAULT,
  L7_HASH_BALANCE_PERCENT,
  L7_PASSIVE_ERRORS_MAX,
  L7_RETRIES_DEFAULT,
  L7_RETRIES_MAX,
  L7_SERVER_CONNECTIONS_DEFAULT,
  L7_SERVER_CONNECTIONS_MAX,
  L7_SERVERS_PER_UPSTREAM_MAX,
  L7_SLOW_START_MS_DEFAULT,
  L7_TIMEOUT_MS_MAX,
  L7_TIMEOUT_MS_MIN,
  L7_TUNNEL_MS_DEFAULT,
  L7_WEIGHT_MAX,
} from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { serversFrom } from '../discover/schema.js';
import { choice, duration, integer, named, share, statusCodes } from '../fields.js';
import { address, name } from '../name-fields.js';
import { certificateName, checkPath, file, hostHeader, port, token } from './patterns.js';

const time = (defaultMs: number) =>
  duration(L7_TIMEOUT_MS_MIN, L7_TIMEOUT_MS_MAX).prefault(formatDuration(defaultMs));
const count = integer(`a whole number, 1 to ${HEALTH_COUNT_MAX}`, 1, HEALTH_COUNT_MAX);

const upstreamHealth = z.strictObject(
  {
    kind: choice(['http', 'tcp', 'none'])
      .default('http')
      .describe(
        'What a check does: send a request, open a connection, or nothing: then servers always count as up.',
      ),
    path: checkPath.default('/').describe('http: path of the request, with or without a query.'),
    host: hostHeader
      .optional()
      .describe('http: Host header. Default: tls.server_name, else the address and port of the server.'),
    status: statusCodes()
      .prefault('200-399')
      .describe('http: status, or range of statuses, of a healthy server.'),
    port: port.optional().describe('Port to check. Default: the port of the server.'),
    interval: named(
      'intervalMs',
      duration(HEALTH_INTERVAL_MS_MIN, HEALTH_INTERVAL_MS_MAX)
        .prefault(formatDuration(HEALTH_INTERVAL_MS_DEFAULT))
        .describe('Time between two checks of a server.'),
    ),
    timeout: named(
      'timeoutMs',
      duration(HEALTH_TIMEOUT_MS_MIN, HEALTH_INTERVAL_MS_MAX)
        .prefault(formatDuration(HEALTH_TIMEOUT_MS_DEFAULT))
        .describe('Time limit of a check, at most the interval.'),
    ),
    rise: count
      .default(HEALTH_RISE_DEFAULT)
      .describe('Successful checks in a row after which a server is up again.'),
    fall: count.default(HEALTH_FALL_DEFAULT).describe('Failed checks in a row after which a server is down.'),
  },
  { error: 'a mapping {kind: ...}' },
);

const HASH_ON_EXPECTED = '{header: NAME}, {cookie: NAME}, path or source';

const server = z.strictObject(
  {
    name: name.describe('Name of the server, unique within the upstream.'),
    address: address.describe('IP address of the server.'),
    port: port.describe('Port of the server.'),
    weight: integer(`a whole number, 0 to ${L7_WEIGHT_MAX}`, 0, L7_WEIGHT_MAX)
      .default(1)
      .describe('Share of requests relative to the other servers. 0: none but those of sticky clients.'),
    state: choice(['active', 'draining'])
      .default('active')
      .describe('A draining server gets only requests of sticky clients that it has.'),
    leaves: z
      .boolean({ error: 'true or false' })
      .default(false)
      .describe(
        'Written by discovery: the source of the upstream took the server away, so it drains and then goes.',
      ),
  },
  { error: 'a mapping {name: ..., address: ..., port: ...}' },
);

export const SERVERS_EXPECTED = 'a list of servers, at least one: - {name: ..., address: ..., port: ...}';

export const l7Upstream = z.strictObject(
  {
    balance: choice(['least_connections', 'round_robin', 'power_of_two', 'hash'])
      .default('least_connections')
      .describe('How a server is chosen.'),
    hash_on: z
      .union(
        [
          z.strictObject({ header: token.describe('Name of a request header.') }),
          z.strictObject({ cookie: token.describe('Name of a cookie.') }),
          z.enum(['path', 'source']),
        ],
        { error: HASH_ON_EXPECTED },
      )
      .optional()
      .describe(
        `What is hashed with balance: hash. No server gets more than ${L7_HASH_BALANCE_PERCENT / 100} times its share.`,
      ),
    sticky: z
      .strictObject(
        {
          cookie: token.describe(
            'Name of the cookie. Its value is a keyed hash of address and port of the server.',
          ),
        },
        { error: 'a mapping {cookie: NAME}' },
      )
      .optional()
      .describe('Keeps a client on one server by a cookie, on every proxy host alike.'),
    protocol: choice(['http1', 'http2'])
      .default('http1')
      .describe('Protocol towards the servers. http2 is what gRPC needs.'),
    health: upstreamHealth.optional().describe('How servers are checked. Default: {kind: tcp}.'),
    passive: z
      .strictObject(
        {
          errors: integer(`a whole number, 1 to ${L7_PASSIVE_ERRORS_MAX}`, 1, L7_PASSIVE_ERRORS_MAX).describe(
            'Errors in a row after which a server is taken out until its checks pass again.',
          ),
        },
        { error: 'a mapping {errors: ...}' },
      )
      .optional()
      .describe('Takes out a server that answers requests with 5xx, or not at all.'),
    panic_threshold: share()
      .prefault(0)
      .describe(
        'When less than this share of the active servers is up, all of them get requests, up or not. 0: never.',
      ),
    retries: integer(`a whole number, 0 to ${L7_RETRIES_MAX}`, 0, L7_RETRIES_MAX)
      .default(L7_RETRIES_DEFAULT)
      .describe(
        'How often a request is tried on another server: when no connection comes about, and with a safe method also when the server closes without an answer or answers 500, 502, 503 or 504.',
      ),
    max_connections: integer(
      `a whole number, 1 to ${L7_SERVER_CONNECTIONS_MAX}`,
      1,
      L7_SERVER_CONNECTIONS_MAX,
    )
      .default(L7_SERVER_CONNECTIONS_DEFAULT)
      .describe(
        'Requests that a server gets at the same time from each proxy host. More wait for 5 s, then get 503.',
      ),
    timeout: named(
      'timeoutMs',
      time(L7_ANSWER_MS_DEFAULT).describe('How long a server may be silent before and within an answer.'),
    ),
    tunnel_timeout: named(
      'tunnelTimeoutMs',
      time(L7_TUNNEL_MS_DEFAULT).describe('How long a WebSocket may be silent.'),
    ),
    slow_start: named(
      'slowStartMs',
      duration(0, L7_TIMEOUT_MS_MAX)
        .prefault(formatDuration(L7_SLOW_START_MS_DEFAULT))
        .describe(
          'How long the share of a server that comes back grows from almost none to its weight. 0s: at once.',
        ),
    ),
    tls: z
      .strictObject(
        {
          server_name: certificateName.describe(
            'Name that the certificate of every server must have; it is sent as SNI.',
          ),
          ca_file: file
            .optional()
            .describe('PEM file with the authorities to trust. Default: those of the system.'),
          certificate: file
            .optional()
            .describe('PEM file with certificate, chain and key that are shown to the servers (mutual TLS).'),
        },
        { error: 'a mapping {server_name: ..., ca_file: ..., certificate: ...}' },
      )
      .optional()
      .describe('TLS towards the servers. Their certificates are always verified.'),
    servers_from: serversFrom.optional(),
    servers: z
      .array(server, { error: SERVERS_EXPECTED })
      .min(1, { error: SERVERS_EXPECTED })
      .meta({ maxItems: L7_SERVERS_PER_UPSTREAM_MAX })
      .default([])
      .describe('The servers. With servers_from, the program writes them.'),
  },
  { error: 'a mapping {servers: [...]}' },
);
