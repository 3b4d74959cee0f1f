/**
 * The schema of the section `l7`: what the proxy hosts serve, and where requests go. Patterns are allow-lists: what they accept
 * can stand in HAProxy's configuration and map files (src/l7/render). Rules over several fields are in rules.ts.
 */
import { z } from 'zod';
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
  L7_CONNECTIONS_DEFAULT,
  L7_CONNECTIONS_MAX,
  L7_DRAIN_DEADLINE_MS_DEFAULT,
  L7_HEADER_BYTES_MAX,
  L7_HEALTH_PORT_DEFAULT,
  L7_HOST_CHARS_MAX,
  L7_IDLE_MS_DEFAULT,
  L7_KEY_HEX_DIGITS,
  L7_PASSIVE_ERRORS_MAX,
  L7_PATH_CHARS_MAX,
  L7_RATE_PERIOD_MS_MAX,
  L7_RATE_REQUESTS_MAX,
  L7_RETRIES_DEFAULT,
  L7_RETRIES_MAX,
  L7_RUN_DIRECTORY_CHARS_MAX,
  L7_RUN_DIRECTORY_DEFAULT,
  L7_SERVER_CONNECTIONS_DEFAULT,
  L7_SERVER_CONNECTIONS_MAX,
  L7_SERVERS_PER_UPSTREAM_MAX,
  L7_SLOW_START_MS_DEFAULT,
  L7_TIMEOUT_MS_MAX,
  L7_TUNNEL_MS_DEFAULT,
  L7_UPSTREAMS_MAX,
  L7_WEIGHT_MAX,
} from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { choice, duration, integer, named, parsed, reading, share, text } from '../fields.js';
import { address, name } from '../name-fields.js';
import { parseStatusCodes, type StatusCodes } from '../status-codes.js';

const FILE_EXPECTED = 'the path of a file';
const TOKEN_EXPECTED = 'a name: letters, digits, "-" and "_"';
const VALUE_EXPECTED = `printable ASCII text, 1 to ${L7_HEADER_BYTES_MAX} characters, no space at either end`;
const COOKIE_VALUE_EXPECTED =
  'a cookie value: printable ASCII without space, comma, semicolon, quote and backslash';
const HOST_EXPECTED = 'a host name in ASCII, "shop.example.com", or with all names below it, "*.example.com"';
const PATH_EXPECTED = 'a path that starts with "/", without "?", "#", quotes, spaces and backslashes';
const URL_EXPECTED =
  'a URL, "https://shop.example.com" (keeps path and query) or "https://shop.example.com/new" (exactly this)';
const KEY_EXPECTED = `the subkey of the tier, ${L7_KEY_HEX_DIGITS} hexadecimal digits: "anyhop l7 key" prints it`;

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const HOST_NAME = `${LABEL}(?:\\.${LABEL})*`;
/** What may stand in a path beside letters and digits (RFC 3986, section 3.3), without quotes and parentheses. */
const PATH_CHARS = 'A-Za-z0-9/._~!$&*+,;=:@%-';

export const L7_KEY_PATTERN = new RegExp(`^[0-9A-Fa-f]{${L7_KEY_HEX_DIGITS}}$`);
export { KEY_EXPECTED as L7_KEY_EXPECTED };
/** Header and cookie names. Narrower than RFC 9110's token: what else it allows is used for attacks only. */
export const TOKEN_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;
/** A file is read by the process that needs it, relative to the config file. */
const file = z.string({ error: FILE_EXPECTED }).min(1, { error: FILE_EXPECTED });
const token = text(TOKEN_EXPECTED, TOKEN_PATTERN);
const headerValue = text(VALUE_EXPECTED, new RegExp(`^[!-~]([ -~]{0,${L7_HEADER_BYTES_MAX - 2}}[!-~])?$`));
const cookieValue = text(COOKIE_VALUE_EXPECTED, /^[!#-+\--:<-[\]-~]{1,256}$/);
const port = integer('a port, 1 to 65535', 1, 65535);
const time = (defaultMs: number, minMs = 100) =>
  duration(minMs, L7_TIMEOUT_MS_MAX).prefault(formatDuration(defaultMs));

/** The key is the name; in the program each entry is `{name, value}`. */
const headers = (value: z.ZodType<string, string>, what: string) =>
  z.record(z.string(), value, { error: `a mapping {name: ${what}}` });

const edits = {
  set: headers(headerValue, 'value').optional().describe('Headers to set, by name.'),
  remove: z
    .array(token, { error: 'a list of header names' })
    .optional()
    .describe('Names of headers to remove.'),
};

const route = z.strictObject(
  {
    host: parsed(
      HOST_EXPECTED,
      (value) => (value.length > L7_HOST_CHARS_MAX ? undefined : value.toLowerCase()),
      new RegExp(`^(?:\\*\\.)?${HOST_NAME}$`, 'i'),
    )
      .optional()
      .describe(
        'Host of the request, without port. "*.example.com" stands for every name below example.com. Default: any host.',
      ),
    path: text(PATH_EXPECTED, new RegExp(`^/[${PATH_CHARS}]{0,${L7_PATH_CHARS_MAX - 1}}$`))
      .default('/')
      .describe(
        'Start of the path, by whole segments: "/v1" is "/v1" and "/v1/x", not "/v1x". Bytes are compared as sent.',
      ),
    header: named(
      'headers',
      headers(headerValue, 'value')
        .optional()
        .describe('Headers that the request must have, each with exactly this value.'),
    ),
    cookie: named(
      'cookies',
      headers(cookieValue, 'value')
        .optional()
        .describe('Cookies that the request must have, each with exactly this value.'),
    ),
    to: z
      .string({ error: 'the name of an upstream' })
      .optional()
      .describe('Upstream that answers. Set this or redirect.'),
    redirect: parsed(
      URL_EXPECTED,
      readRedirect,
      new RegExp(`^https?://${HOST_NAME}(?::[0-9]{1,5})?(?:/[${PATH_CHARS}]*)?$`, 'i'),
    )
      .optional()
      .describe('Where clients are sent instead. A URL without a path keeps path and query of the request.'),
    status: choice(['301', '302', '303', '307', '308'])
      .optional()
      .describe('Status of the redirect. Default: 308.'),
  },
  { error: 'a mapping {host: ..., path: ..., to: ...}' },
);

export interface RedirectTarget {
  readonly url: string;
  /** The request's path and query are appended. */
  readonly isPrefix: boolean;
}

function readRedirect(url: string): RedirectTarget | undefined {
  if (url.length > L7_PATH_CHARS_MAX) return undefined;
  const portText = /^https?:\/\/[^/]*:([0-9]+)/i.exec(url)?.[1];
  if (portText !== undefined && (Number(portText) < 1 || Number(portText) > 65535)) return undefined;
  return { url, isPrefix: !/^https?:\/\/[^/]*\//i.test(url) };
}

export const l7Frontend = z.strictObject(
  {
    services: z
      .array(z.string({ error: 'the name of a service' }), { error: 'a list of services, at least one' })
      .min(1, { error: 'a list of services, at least one' })
      .describe(
        'Layer-4 services whose connections this frontend takes. The backends of their pools are the proxy hosts.',
      ),
    certificates: file
      .optional()
      .describe(
        'Directory with certificates: each *.pem has a certificate, its chain and its key. SNI chooses; the first in name order is the default. Without it, the services speak plain HTTP.',
      ),
    redirect_from: z
      .array(z.string({ error: 'the name of a service' }), { error: 'a list of services' })
      .optional()
      .describe('Services on which plain HTTP is answered with 308 to https.'),
    routes: z
      .array(route, { error: 'a list of routes, at least one: - {host: ..., to: ...}' })
      .min(1, { error: 'a list of routes, at least one: - {host: ..., to: ...}' })
      .describe(
        'Where requests go: exact host before wildcard, longest path first, then the order of the file.',
      ),
    client_rate: z
      .strictObject(
        {
          requests: integer(`a whole number, 1 to ${L7_RATE_REQUESTS_MAX}`, 1, L7_RATE_REQUESTS_MAX).describe(
            'Requests that a client may send in a period.',
          ),
          per: named('perMs', duration(1000, L7_RATE_PERIOD_MS_MAX).describe('The period.')),
        },
        { error: 'a mapping {requests: ..., per: ...}' },
      )
      .optional()
      .describe(
        'Limit for each client address (IPv6: each /64) on each proxy host; beyond it the answer is 429.',
      ),
    headers: z
      .strictObject(
        {
          ...edits,
          request: z
            .strictObject(edits, { error: 'a mapping {set: ..., remove: ...}' })
            .optional()
            .describe('The same, for requests only.'),
          response: z
            .strictObject(edits, { error: 'a mapping {set: ..., remove: ...}' })
            .optional()
            .describe('The same, for responses only.'),
        },
        { error: 'a mapping {set: ..., remove: ...}' },
      )
      .optional()
      .describe('Headers of requests and responses.'),
    hsts: named(
      'hstsMs',
      duration(1000, 10 * 365 * 86_400_000)
        .optional()
        .describe('How long browsers use only https for this host (Strict-Transport-Security, max-age).'),
    ),
    clients: z
      .strictObject(
        { ca_file: file.describe('PEM file with the authorities that sign client certificates.') },
        { error: 'a mapping {ca_file: ...}' },
      )
      .optional()
      .describe('Clients must show a certificate (mutual TLS).'),
    idle_timeout: named(
      'idleTimeoutMs',
      time(L7_IDLE_MS_DEFAULT, 1000).describe('How long a client connection may wait for its next request.'),
    ),
  },
  { error: 'a mapping {services: [...], routes: [...]}' },
);

const count = integer(`a whole number, 1 to ${HEALTH_COUNT_MAX}`, 1, HEALTH_COUNT_MAX);
const STATUS_EXPECTED = 'an HTTP status, 100 to 599, or a range in quotes, "200-399"';

const upstreamHealth = z.strictObject(
  {
    kind: choice(['http', 'tcp', 'none'])
      .default('http')
      .describe(
        'What a check does: send a request, open a connection, or nothing: then servers always count as up.',
      ),
    path: text(PATH_EXPECTED, new RegExp(`^/[${PATH_CHARS}]{0,${L7_PATH_CHARS_MAX - 1}}$`))
      .default('/')
      .describe('http: path of the request.'),
    host: text('a host name', new RegExp(`^${HOST_NAME}(?::[0-9]{1,5})?$`, 'i'))
      .optional()
      .describe('http: Host header. Default: tls.server_name, else the address and port of the server.'),
    status: z
      .union(
        [integer(STATUS_EXPECTED, 100, 599), text(STATUS_EXPECTED, /^[1-5][0-9]{2}(-[1-5][0-9]{2})?$/)],
        {
          error: STATUS_EXPECTED,
        },
      )
      .transform(reading(STATUS_EXPECTED, (value): StatusCodes | undefined => parseStatusCodes(value)))
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
  },
  { error: 'a mapping {name: ..., address: ..., port: ...}' },
);

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
      .describe('What is hashed with balance: hash. No server gets more than 1.5 times its share.'),
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
          server_name: text('a host name', new RegExp(`^(?![0-9.]+$)${HOST_NAME}$`, 'i')).describe(
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
    servers: z
      .array(server, { error: 'a list of servers, at least one: - {name: ..., address: ..., port: ...}' })
      .min(1, { error: 'a list of servers, at least one: - {name: ..., address: ..., port: ...}' })
      .meta({ maxItems: L7_SERVERS_PER_UPSTREAM_MAX })
      .describe('The servers.'),
  },
  { error: 'a mapping {servers: [...]}' },
);

export const l7 = z
  .strictObject(
    {
      key_file: file
        .optional()
        .describe(
          'File with the subkey of the tier, for session tickets and sticky cookies. "anyhop l7 key" derives it from the secret of the fleet, which proxy hosts do not need. Set this or key.',
        ),
      key: text(KEY_EXPECTED, L7_KEY_PATTERN)
        .optional()
        .describe('The subkey of the tier in hexadecimal digits. Set this or key_file.'),
      user: text('a user name', /^[a-z_][a-z0-9_-]{0,31}$/)
        .default('haproxy')
        .describe('User that HAProxy runs as when anyhop runs as root.'),
      run_dir: named(
        'runDirectory',
        text(
          `an absolute path, ${L7_RUN_DIRECTORY_CHARS_MAX} characters at most, of letters, digits and "._/-"`,
          new RegExp(`^/[A-Za-z0-9._/-]{1,${L7_RUN_DIRECTORY_CHARS_MAX - 1}}$`),
        )
          .default(L7_RUN_DIRECTORY_DEFAULT)
          .describe('Directory for what HAProxy reads, and for sockets.'),
      ),
      health_port: port
        .default(L7_HEALTH_PORT_DEFAULT)
        .describe(
          'Port on the underlay address of a proxy host that answers /anyhop-l7, for a health check of the pool.',
        ),
      max_connections: integer(`a whole number, 100 to ${L7_CONNECTIONS_MAX}`, 100, L7_CONNECTIONS_MAX)
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
        'stdout, off, or the absolute path of a syslog socket',
        /^(stdout|off|\/[A-Za-z0-9._/-]{1,100})$/,
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
        .describe('What clients connect to, by name.'),
      upstreams: z
        .record(z.string(), l7Upstream, { error: 'a mapping of upstreams by name' })
        .meta({ maxProperties: L7_UPSTREAMS_MAX })
        .describe('Servers that answer requests, by name.'),
    },
    { error: 'a mapping {frontends: ..., upstreams: ...}' },
  )
  .meta({ not: { required: ['key', 'key_file'] } })
  .describe('The layer-7 tier, for `anyhop l7 run` on the proxy hosts.');
