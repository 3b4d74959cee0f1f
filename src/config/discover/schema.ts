/**
 * The schema of `backends_from` of a pool, of `servers_from` of an upstream, and of the section `discover`: where backends and servers come
 * from, and whose word on them is taken.
 */
import * as z from 'zod';
import {
  DISCOVER_DEBOUNCE_MS_DEFAULT,
  DISCOVER_DEBOUNCE_MS_MAX,
  DISCOVER_EVERY_MS_MAX,
  DISCOVER_EVERY_MS_MIN,
  DISCOVER_HTTP_MS_DEFAULT,
  DISCOVER_KUBERNETES_MS_DEFAULT,
  DISCOVER_MAX_REMOVE_DEFAULT,
  DISCOVER_MIN_DEFAULT,
  DISCOVER_TIMEOUT_MS_DEFAULT,
  DISCOVER_TIMEOUT_MS_MAX,
  DISCOVER_TIMEOUT_MS_MIN,
} from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { endpointOf } from '../endpoint.js';
import { duration, integer, named, share, text } from '../fields.js';
import { PREFIX_EXPECTED, path, prefix } from '../name-fields.js';
import { publicKey } from '../public-key.js';
import { GROUP_KINDS, type GroupKind } from './kinds.js';

const DNS_PORT = 53;
const ALLOWED_EXPECTED = `a list, at least one: ${PREFIX_EXPECTED}`;
const PORT_EXPECTED = 'a port, 1 to 65535';
const PORT_MAX = 65_535;

/** Host names, and service names that begin with "_". */
const DNS_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;
const SERVICE_EXPECTED = 'the name of a service: letters, digits, ".", "_" and "-"';
const SERVICE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$/;
const KUBERNETES_EXPECTED = 'a name as Kubernetes has them: lower-case letters, digits and "-"';
const KUBERNETES_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const SERVER_EXPECTED = 'the URL of a server without a path, "https://10.0.0.5:8501"';
const URL_EXPECTED = 'a URL, "https://10.0.0.5/web.json"';

const server = text(SERVER_EXPECTED, /^https?:\/\/(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/);
const caFile = path
  .optional()
  .describe('File with the certificates of those who sign that of the server. Default: the well-known ones.');
const tokenFile = path.optional().describe('File with the token that is sent along; read again each time.');

function every(defaultMs: number) {
  return named(
    'everyMs',
    duration(DISCOVER_EVERY_MS_MIN, DISCOVER_EVERY_MS_MAX)
      .prefault(formatDuration(defaultMs))
      .describe('How often it is asked.'),
  );
}

const dnsSrv = z
  .strictObject(
    {
      name: text('a DNS name, "_http._tcp.web.example.com"', DNS_NAME).describe(
        'Name of the SRV records. Each target is one.',
      ),
      server: endpointOf(DNS_PORT)
        .optional()
        .describe('DNS server that is asked. Default: those of the host.'),
    },
    { error: 'a mapping {name: ...}' },
  )
  .describe('SRV records of the DNS, with the addresses of their targets.');

const http = z
  .strictObject(
    {
      url: text(
        URL_EXPECTED,
        /^https?:\/\/(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?\/[!-~]*$/,
      ).describe('Where the list is, as in a file.'),
      every: every(DISCOVER_HTTP_MS_DEFAULT),
      timeout: named(
        'timeoutMs',
        duration(DISCOVER_TIMEOUT_MS_MIN, DISCOVER_TIMEOUT_MS_MAX)
          .prefault(formatDuration(DISCOVER_TIMEOUT_MS_DEFAULT))
          .describe('How long an answer may take.'),
      ),
      ca_file: caFile,
      token_file: tokenFile,
    },
    { error: 'a mapping {url: ...}' },
  )
  .describe('A list from an HTTP server.');

const consul = z
  .strictObject(
    {
      url: server.describe('Where Consul answers.'),
      service: text(SERVICE_EXPECTED, SERVICE).describe(
        'Name of the service. Its instances whose checks pass are taken.',
      ),
      ca_file: caFile,
      token_file: tokenFile,
    },
    { error: 'a mapping {url: ..., service: ...}' },
  )
  .describe('Instances of a Consul service.');

const kubernetesFields = {
  url: server.describe('Where the API server answers.'),
  namespace: text(KUBERNETES_EXPECTED, KUBERNETES_NAME).describe('Namespace of the service.'),
  service: text(KUBERNETES_EXPECTED, KUBERNETES_NAME).describe('Name of the service.'),
  every: every(DISCOVER_KUBERNETES_MS_DEFAULT),
  ca_file: caFile,
  token_file: tokenFile,
};
const KUBERNETES = {
  error: 'a mapping {url: ..., namespace: ..., service: ...}',
  about: 'Endpoints of a Kubernetes service, from its EndpointSlices.',
};

/** Fields that name a source; exactly one of them is there. */
export const SOURCE_KINDS = ['file', 'dns_srv', 'http', 'consul', 'kubernetes'] as const;
const ONE_SOURCE = { not: { not: { anyOf: SOURCE_KINDS.map((kind) => ({ required: [kind] })) } } };

function sources(kind: GroupKind) {
  const { one } = GROUP_KINDS[kind];
  return {
    file: path
      .optional()
      .describe(`A file with a list of ${one}s in YAML or JSON, or a directory of such files; watched.`),
    dns_srv: dnsSrv.optional(),
    http: http.optional(),
    consul: consul.optional(),
  };
}

function limits(kind: GroupKind) {
  const { one, window } = GROUP_KINDS[kind];
  return {
    allowed_addresses: z
      .array(prefix, { error: ALLOWED_EXPECTED })
      .min(1, { error: ALLOWED_EXPECTED })
      .describe(
        `Prefixes that the addresses of the ${one}s are in. An answer with any other address is refused.`,
      ),
    max_remove: share()
      .prefault(`${DISCOVER_MAX_REMOVE_DEFAULT * 100}%`)
      .describe(
        `An answer that takes away more than this share of the ${one}s within the ${window} takes none away. One ${one} may always go, unless this is 0.`,
      ),
    debounce: named(
      'debounceMs',
      duration(0, DISCOVER_DEBOUNCE_MS_MAX)
        .prefault(formatDuration(DISCOVER_DEBOUNCE_MS_DEFAULT))
        .describe('How long an answer must stay the same before it changes anything.'),
    ),
  };
}

function least(kind: GroupKind) {
  const { one, most } = GROUP_KINDS[kind];
  return named(
    'least',
    integer(`a whole number, 1 to ${most}`, 1, most)
      .default(DISCOVER_MIN_DEFAULT)
      .describe(`An answer that leaves fewer active ${one}s than this takes none away.`),
  );
}

const SOURCE_EXPECTED = 'a mapping {file: ..., allowed_addresses: [...]}';

export const backendsFrom = z
  .strictObject(
    {
      ...sources('pool'),
      kubernetes: z
        .strictObject(kubernetesFields, { error: KUBERNETES.error })
        .describe(KUBERNETES.about)
        .optional(),
      ...limits('pool'),
      min_backends: least('pool'),
    },
    { error: SOURCE_EXPECTED },
  )
  .meta(ONE_SOURCE)
  .describe('Where the backends come from. The program then writes `backends`, and drains who leaves.');

export const serversFrom = z
  .strictObject(
    {
      ...sources('upstream'),
      kubernetes: z
        .strictObject(
          {
            ...kubernetesFields,
            port: text(KUBERNETES_EXPECTED, KUBERNETES_NAME)
              .optional()
              .describe('Name of the port, of a service that has several.'),
          },
          { error: KUBERNETES.error },
        )
        .describe(KUBERNETES.about)
        .optional(),
      port: integer(PORT_EXPECTED, 1, PORT_MAX)
        .optional()
        .describe('Port of the servers of which the source says none.'),
      ...limits('upstream'),
      min_servers: least('upstream'),
    },
    { error: SOURCE_EXPECTED },
  )
  .meta(ONE_SOURCE)
  .describe('Where the servers come from. The program then writes `servers`, and drains who leaves.');

export const discover = z
  .strictObject(
    {
      keys: z
        .record(z.string(), publicKey('the public key that `anyhop fleet status` shows'), {
          error: 'a mapping of public keys by the name of the node',
        })
        .optional()
        .describe(
          'Public keys of the forwarders whose revisions are taken for pools with backends_from and upstreams with servers_from, by the name of the node. `anyhop fleet status` prints the lines.',
        ),
    },
    { error: 'a mapping {keys: {edge-1: ...}}' },
  )
  .describe('Which nodes of a fleet may put into force what they find.');
