/**
 * A frontend: where it listens, and what happens to a request before a server gets it. What a client says about itself is
 * deleted before anything reads it; what servers are told of the client follows from the connection alone.
 */

import { DISTRUSTED_HEADERS, DISTRUSTED_START } from '../../config/l7/header-names.js';
import type { HeaderEdits, L7Bind, L7Config, L7Frontend } from '../../config/l7/types.js';
import type { FieldPath } from '../../config/path.js';
import { L7_CLIENT_MS_MIN, L7_RATE_CLIENTS_MAX } from '../../core/limits.js';
import { CHALLENGE_PATH, PLAUSIBLE_HOST, PLAUSIBLE_HOST_CHARS_MAX, redirectPort } from '../before-routes.js';
import {
  endpoint,
  format,
  headerName,
  identifier,
  integer,
  line,
  list,
  milliseconds,
  NOTHING,
  pattern,
  type Token,
  thumbprint,
  words,
} from './line.js';
import { logLines, logRules } from './log.js';
import { fileIn, frontendName, rateTableName, redirectName } from './names.js';
import { PANIC_FILE } from './panic.js';
import { LOCAL_PEER, type RenderedLine } from './rendering.js';
import { certificateListFile, clientAuthoritiesFile, ticketKeysFile } from './tls.js';

/** @param routes the rules that choose an upstream; after them, `txn.upstream` has its name */
export function frontendLines(
  frontend: L7Frontend,
  config: L7Config,
  directory: string,
  routes: readonly RenderedLine[],
): RenderedLine[] {
  const at = ['l7', 'frontends', frontend.name];
  return [
    line(at)`frontend ${frontendName(frontend.name)}`,
    line([
      ...at,
      'services',
    ])`  bind ${endpoints(frontend.binds)}${tlsOptions(frontend, directory, config.key !== undefined)}`,
    ...connectionLines(frontend, config, at),
    ...logLines(frontend.name, config.accessLog, at),
    ...logRules(config.accessLog, at),
    ...acmeLines(config),
    ...rateLines(frontend, at),
    ...distrustLines(at),
    ...routes,
    // After routes, which may ask for such a name: some servers read `x_forwarded_for` as `x-forwarded-for`.
    line(at)`  http-request del-header '[^A-Za-z0-9-]' -m reg`,
    ...forwardingLines(frontend, at),
    ...editLines('http-request', frontend.requestHeaders, at),
    ...editLines('http-after-response', frontend.responseHeaders, at),
    ...hstsLines(frontend, at),
    ...chooseLines(frontend, config, directory, at),
  ];
}

/** Answers plain HTTP with a redirect to the same host, path and query under https. */
export function redirectLines(frontend: L7Frontend, config: L7Config): RenderedLine[] {
  if (frontend.redirectBinds.length === 0) return [];
  const at = ['l7', 'frontends', frontend.name, 'redirect_from'];
  const port = httpsPort(frontend.binds);
  return [
    line(at)`frontend ${redirectName(frontend.name)}`,
    line(at)`  bind ${endpoints(frontend.redirectBinds)}`,
    ...connectionLines(frontend, config, at),
    ...logLines(frontend.name, config.accessLog, at),
    ...logRules(config.accessLog, at),
    ...acmeLines(config),
    line(at)`  http-request set-var(txn.host) req.fhdr(host),host_only,rtrim(.)`,
    line(at)`  http-request deny deny_status 400 unless ${HAS_PLAUSIBLE_HOST}`,
    line(at)`  http-request redirect prefix https://%[var(txn.host)]${port} code 308`,
  ];
}

/** By length first, so that the expression reads a bounded text. */
const HAS_PLAUSIBLE_HOST = words`{ var(txn.host) -m len 1:${integer(PLAUSIBLE_HOST_CHARS_MAX)} } { var(txn.host) -m reg ${pattern(PLAUSIBLE_HOST)} }`;

/** As it stands behind a host. */
function httpsPort(binds: readonly L7Bind[]): Token {
  const port = redirectPort(binds);
  return port === undefined ? NOTHING : words`:${integer(port, 1, 65_535)}`;
}

function endpoints(binds: readonly L7Bind[]): Token {
  return list(
    binds.map(({ vip, portFirst, portLast }) => endpoint(vip, portFirst, portLast)),
    ',',
  );
}

function tlsOptions(
  { name, certificates, clientsCa }: L7Frontend,
  directory: string,
  hasKey: boolean,
): Token {
  if (certificates === undefined) return NOTHING;
  const file = (relative: string) => fileIn(directory, relative);
  const tickets = hasKey ? words` tls-ticket-keys ${file(ticketKeysFile(name))}` : NOTHING;
  const clients =
    clientsCa === undefined ? NOTHING : words` ca-file ${file(clientAuthoritiesFile(name))} verify required`;
  return words` ssl crt-list ${file(certificateListFile(name))} alpn h2,http/1.1${tickets}${clients}`;
}

/** The client has as long as the slowest server that its routes lead to. */
function connectionLines(frontend: L7Frontend, config: L7Config, at: FieldPath): RenderedLine[] {
  const names = new Set(frontend.routes.map(({ to }) => to));
  const timeouts = config.upstreams.filter(({ name }) => names.has(name)).map(({ timeoutMs }) => timeoutMs);
  return [
    line(at)`  timeout client ${milliseconds(Math.max(L7_CLIENT_MS_MIN, ...timeouts))}`,
    line([...at, 'idle_timeout'])`  timeout http-keep-alive ${milliseconds(frontend.idleTimeoutMs)}`,
  ];
}

/** Answers HTTP-01 challenges (RFC 8555, section 8.3) before anything else can refuse or redirect them. */
function acmeLines({ acmeThumbprint }: L7Config): RenderedLine[] {
  if (acmeThumbprint === undefined) return [];
  const answer = words`lf-string %[path,field(4,/)].${thumbprint(acmeThumbprint)}`;
  const challenge = words`{ path_beg /.well-known/acme-challenge/ } { path -m reg ${pattern(CHALLENGE_PATH)} }`;
  return [
    line([
      'l7',
      'acme',
    ])`  http-request return status 200 content-type application/octet-stream ${answer} if ${challenge}`,
  ];
}

/** Refused requests count too: a client that goes on stays refused. */
function rateLines({ name, clientRate }: L7Frontend, at: FieldPath): RenderedLine[] {
  if (clientRate === undefined) return [];
  const place = line([...at, 'client_rate']);
  const seconds = integer(Math.ceil(clientRate.perMs / 1000));
  const tooMany = words`{ sc_http_req_rate(0) gt ${integer(clientRate.requests)} }`;
  return [
    place`  http-request track-sc0 src,ipmask(32,64) table ${rateTableName(name)}`,
    place`  http-request return status 429 content-type text/plain string "Too many requests" hdr retry-after ${seconds} if ${tooMany}`,
  ];
}

/** Twice the period: until then, an entry still counts for something. */
export function rateTableLines({ name, clientRate }: L7Frontend): RenderedLine[] {
  if (clientRate === undefined) return [];
  const place = line(['l7', 'frontends', name, 'client_rate']);
  const period = milliseconds(clientRate.perMs);
  const size = words`size ${integer(L7_RATE_CLIENTS_MAX)} expire ${milliseconds(2 * clientRate.perMs)}`;
  return [
    place`backend ${rateTableName(name)}`,
    place`  stick-table type ipv6 ${size} store http_req_rate(${period}) peers ${identifier(LOCAL_PEER)}`,
  ];
}

/** `Connection` may name headers that the next hop drops, so what stays of it is the upgrade to WebSocket. */
function distrustLines(at: FieldPath): RenderedLine[] {
  const place = line(at);
  return [
    // HAProxy sends these on as they are, and servers differ in how they read them.
    place`  http-request deny deny_status 400 unless { req.ver 1.0 1.1 2.0 }`,
    place`  http-request deny deny_status 400 if { url -m reg '[^!-~]' }`,
    place`  http-request deny deny_status 400 if { req.fhdr_cnt(transfer-encoding) gt 1 }`,
    place`  http-request deny deny_status 400 if { req.fhdr_cnt(transfer-encoding) eq 1 } !{ req.fhdr(transfer-encoding) -m str -i chunked }`,
    place`  http-request deny deny_status 400 if { req.hdrs -m reg '[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]' }`,
    // HAProxy would read such a body, and a server of HTTP/1.0 a second request.
    place`  http-request deny deny_status 400 if { req.ver 1.0 } { req.fhdr_cnt(transfer-encoding) gt 0 }`,
    // "GET http://shop.example.com/x" asks for the same as "GET /x", which is what routes and servers compare.
    place`  acl is_absolute url -m reg '^[A-Za-z][A-Za-z0-9+.-]*://'`,
    place`  http-request deny deny_status 400 if is_absolute !{ url -m beg -i http:// https:// }`,
    place`  acl has_path path -m found`,
    place`  http-request set-uri %[pathq] if { fc_http_major 1 } is_absolute has_path`,
    place`  http-request set-uri / if { fc_http_major 1 } is_absolute !has_path`,
    place`  acl is_websocket req.fhdr(upgrade) -m str -i websocket`,
    place`  http-request deny deny_status 405 if METH_CONNECT !is_websocket`,
    place`  http-request del-header ${headerName(DISTRUSTED_START)} -m beg`,
    ...DISTRUSTED_HEADERS.map((header) => place`  http-request del-header ${headerName(header)}`),
    // Of several, the last one is what was looked at; a server may take another one.
    place`  http-request set-header upgrade websocket if is_websocket`,
    place`  http-request set-header connection upgrade if is_websocket`,
    place`  http-request del-header connection unless is_websocket`,
    place`  http-request del-header upgrade unless is_websocket`,
  ];
}

/** What servers are told of the client. */
function forwardingLines({ certificates }: L7Frontend, at: FieldPath): RenderedLine[] {
  const place = line(at);
  const scheme = certificates === undefined ? words`http` : words`https`;
  return [
    place`  http-request set-header x-forwarded-for %[src]`,
    place`  http-request set-header x-forwarded-proto ${scheme}`,
    place`  http-request set-header forwarded for=%[src];proto=${scheme}`,
    place`  http-request set-header forwarded 'for="[%[src]]";proto=${scheme}' if { src -m sub : }`,
    place`  http-request set-header x-request-id %[var(txn.id)]`,
  ];
}

function editLines(
  rule: 'http-request' | 'http-after-response',
  { set, remove }: HeaderEdits,
  at: FieldPath,
): RenderedLine[] {
  const place = line([...at, 'headers']);
  return [
    ...remove.map((name) => place`  ${identifier(rule)} del-header ${headerName(name)}`),
    ...set.map(
      ({ name, value }) => place`  ${identifier(rule)} set-header ${headerName(name)} ${format(value)}`,
    ),
  ];
}

/** On every answer, those of this proxy included. */
function hstsLines({ hstsMs }: L7Frontend, at: FieldPath): RenderedLine[] {
  if (hstsMs === undefined) return [];
  const seconds = integer(Math.floor(hstsMs / 1000));
  return [
    line([...at, 'hsts'])`  http-after-response set-header strict-transport-security max-age=${seconds}`,
  ];
}

/** From `txn.action` (`b:NAME`) to the upstream, or to its panic twin when too few servers are up. */
function chooseLines(
  { routes }: L7Frontend,
  config: L7Config,
  directory: string,
  at: FieldPath,
): RenderedLine[] {
  const place = line(at);
  const names = new Set(routes.map(({ to }) => to));
  const canPanic = config.upstreams.some((one) => names.has(one.name) && one.panicThreshold > 0);
  const least = words`var(txn.upstream),map_str_int(${fileIn(directory, PANIC_FILE)},0)`;
  return [
    place`  http-request set-var(txn.upstream) var(txn.action),field(2,:)`,
    ...(canPanic
      ? [
          place`  http-request set-var(txn.least) ${least}`,
          place`  http-request set-var(txn.up) str(u_),concat(,txn.upstream),nbsrv`,
          place`  use_backend p_%[var(txn.upstream)] if { var(txn.up),sub(txn.least) lt 0 }`,
        ]
      : []),
    place`  use_backend u_%[var(txn.upstream)]`,
  ];
}
