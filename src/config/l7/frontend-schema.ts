/** The schema of `l7.frontends`: where clients connect, and which route a request takes. */
import * as z from 'zod';
import {
  L7_HSTS_MS_MAX,
  L7_IDLE_MS_DEFAULT,
  L7_RATE_PERIOD_MS_MAX,
  L7_RATE_REQUESTS_MAX,
  L7_ROUTES_MAX,
  L7_TIMEOUT_MS_MAX,
} from '../../core/limits.js';
import { formatDuration } from '../../core/time.js';
import { duration, integer, named } from '../fields.js';
import { cookies, directory, file, headers, hostPattern, path, redirectUrl, token } from './patterns.js';

const STATUSES = [301, 302, 303, 307, 308] as const;
export type RedirectStatus = (typeof STATUSES)[number];
const STATUS_EXPECTED = '301, 302, 303, 307 or 308';
const SERVICE_EXPECTED = 'the name of a service';
const SERVICES_EXPECTED = 'a list of services, at least one';
const ROUTES_EXPECTED = 'a list of routes, at least one: - {host: ..., to: ...}';
const EDITS_EXPECTED = 'a mapping {set: ..., remove: ...}';

const edits = {
  set: headers.optional().describe('Headers to set, by name.'),
  remove: z
    .array(token, { error: 'a list of header names' })
    .optional()
    .describe('Names of headers to remove.'),
};

const redirectStatus = z
  .int({ error: STATUS_EXPECTED })
  .refine((value) => (STATUSES as readonly number[]).includes(value), { error: STATUS_EXPECTED })
  .transform((value) => value as RedirectStatus)
  .meta({ enum: STATUSES });

const route = z
  .strictObject(
    {
      host: hostPattern
        .optional()
        .describe(
          'Host of the request, without port. "*.example.com" stands for every name below example.com. Default: any host.',
        ),
      path: path
        .default('/')
        .describe(
          'Start of the path, by whole segments: "/v1" is "/v1" and "/v1/x", not "/v1x". Bytes are compared as sent.',
        ),
      header: named(
        'headers',
        headers.optional().describe('Headers that the request must have, each with exactly this value.'),
      ),
      cookie: named(
        'cookies',
        cookies.optional().describe('Cookies that the request must have, each with exactly this value.'),
      ),
      to: z
        .string({ error: 'the name of an upstream' })
        .optional()
        .describe('Upstream that answers. Set this or redirect.'),
      redirect: redirectUrl
        .optional()
        .describe(
          'Where clients are sent instead. A URL without a path keeps path and query of the request.',
        ),
      status: redirectStatus.optional().describe('Status of the redirect. Default: 308.'),
    },
    { error: 'a mapping {host: ..., path: ..., to: ...}' },
  )
  .meta({ not: { required: ['to', 'redirect'] } });

const clientRate = z.strictObject(
  {
    requests: integer(`a whole number, 1 to ${L7_RATE_REQUESTS_MAX}`, 1, L7_RATE_REQUESTS_MAX).describe(
      'Requests that a client may send in a period.',
    ),
    per: named('perMs', duration(1000, L7_RATE_PERIOD_MS_MAX).describe('The period.')),
  },
  { error: 'a mapping {requests: ..., per: ...}' },
);

const headerEdits = z.strictObject(
  {
    ...edits,
    request: z
      .strictObject(edits, { error: EDITS_EXPECTED })
      .optional()
      .describe('The same, for requests only.'),
    response: z
      .strictObject(edits, { error: EDITS_EXPECTED })
      .optional()
      .describe('The same, for responses only.'),
  },
  { error: EDITS_EXPECTED },
);

export const l7Frontend = z.strictObject(
  {
    services: z
      .array(z.string({ error: SERVICE_EXPECTED }), { error: SERVICES_EXPECTED })
      .min(1, { error: SERVICES_EXPECTED })
      .describe(
        'Layer-4 services whose connections this frontend takes. The backends of their pools are the proxy hosts.',
      ),
    certificates: directory
      .optional()
      .describe(
        'Directory with certificates: each *.pem has a certificate, its chain and its key. SNI chooses; the first in name order is the default. Without it, the services speak plain HTTP.',
      ),
    redirect_from: z
      .array(z.string({ error: SERVICE_EXPECTED }), { error: 'a list of services' })
      .optional()
      .describe('Services on which plain HTTP is answered with 308 to https.'),
    routes: z
      .array(route, { error: ROUTES_EXPECTED })
      .min(1, { error: ROUTES_EXPECTED })
      .meta({ maxItems: L7_ROUTES_MAX })
      .describe(
        'Where requests go: exact host before wildcard, longest path first, then the order of the file.',
      ),
    client_rate: clientRate
      .optional()
      .describe(
        'Limit for each client address (IPv6: each /64) on each proxy host; beyond it the answer is 429.',
      ),
    headers: headerEdits.optional().describe('Headers of requests and responses.'),
    hsts: named(
      'hstsMs',
      duration(1000, L7_HSTS_MS_MAX)
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
      duration(1000, L7_TIMEOUT_MS_MAX)
        .prefault(formatDuration(L7_IDLE_MS_DEFAULT))
        .describe('How long a client connection may wait for its next request.'),
    ),
  },
  { error: 'a mapping {services: [...], routes: [...]}' },
);
