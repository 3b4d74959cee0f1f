/**
 * An upstream: how a server is chosen, checked, asked again, and reached. With a panic threshold there is a twin with the same
 * servers, ids and cookies and without checks. HAProxy counts its connections apart.
 */

import type { HashOn, L7Config, L7Health, L7Upstream } from '../../config/l7/types.js';
import type { FieldPath } from '../../config/path.js';
import { L7_HASH_BALANCE_PERCENT, L7_SERVER_CONNECTIONS_MAX, L7_WEIGHT_MAX } from '../../core/limits.js';
import { cookieKey } from './keys.js';
import {
  cookieName,
  endpoint,
  headerName,
  hexKey,
  hostAndPort,
  hostName,
  identifier,
  integer,
  line,
  milliseconds,
  NOTHING,
  requestTarget,
  type Token,
  words,
} from './line.js';
import { fileIn, panicName, upstreamName } from './names.js';
import type { RenderedLine } from './rendering.js';
import type { ServerInForce } from './servers.js';
import { ownCertificateFile, serverAuthoritiesFile } from './tls.js';

export function upstreamLines(
  upstream: L7Upstream,
  config: L7Config,
  directory: string,
  servers: readonly ServerInForce[],
): RenderedLine[] {
  const at = ['l7', 'upstreams', upstream.name];
  const { health } = upstream;
  const shared = [
    ...balanceLines(upstream, at),
    ...cookieLines(upstream, config, at),
    ...retryLines(upstream, at),
    line([...at, 'timeout'])`  timeout server ${milliseconds(upstream.timeoutMs)}`,
    line([...at, 'tunnel_timeout'])`  timeout tunnel ${milliseconds(upstream.tunnelTimeoutMs)}`,
  ];
  const reach = reachOptions(upstream, directory);
  const section = (name: Token, checks: readonly RenderedLine[], options: Token): RenderedLine[] => [
    line(at)`backend ${name}`,
    ...shared,
    ...checks,
    ...servers.map((server) => serverLine(server, words`${reach}${options}`, at)),
  ];
  return [
    ...section(
      upstreamName(upstream.name),
      health === undefined ? [] : healthLines(health, upstream, at),
      health === undefined ? NOTHING : checkOptions(health, upstream),
    ),
    ...(upstream.panicThreshold > 0 ? section(panicName(upstream.name), [], NOTHING) : []),
  ];
}

function serverLine(server: ServerInForce, options: Token, at: FieldPath): RenderedLine {
  const { name, id, address, port, weight, index } = server;
  const place = words`${identifier(name)} ${endpoint(address, port)}`;
  return line([
    ...at,
    'servers',
    index,
  ])`  server ${place} id ${integer(id, 1)} weight ${integer(weight, 0, L7_WEIGHT_MAX)}${options}`;
}

function balanceLines({ balance, hashOn }: L7Upstream, at: FieldPath): RenderedLine[] {
  const place = line([...at, 'balance']);
  if (balance !== 'hash' || hashOn === undefined) {
    const algorithms = {
      least_connections: words`leastconn`,
      round_robin: words`roundrobin`,
      power_of_two: words`random(2)`,
      hash: NOTHING,
    };
    return [place`  balance ${algorithms[balance]}`];
  }
  return [
    line([...at, 'hash_on'])`  balance hash ${hashKey(hashOn)}`,
    place`  hash-type consistent`,
    place`  hash-balance-factor ${integer(L7_HASH_BALANCE_PERCENT, 101)}`,
  ];
}

/** A request without the header or the cookie goes round robin. */
function hashKey(on: HashOn): Token {
  if (on === 'path') return words`path`;
  if (on === 'source') return words`src`;
  return 'header' in on
    ? words`req.fhdr(${headerName(on.header)})`
    : words`req.cook(${cookieName(on.cookie)})`;
}

/** `Secure` where no client gets the cookie over plain HTTP. */
function cookieLines({ name, stickyCookie }: L7Upstream, config: L7Config, at: FieldPath): RenderedLine[] {
  if (stickyCookie === undefined || config.key === undefined) return [];
  const place = line([...at, 'sticky']);
  const onPlain = config.frontends.some(
    ({ certificates, routes }) => certificates === undefined && routes.some(({ to }) => to === name),
  );
  const secure = onPlain ? NOTHING : words` secure`;
  return [
    place`  cookie ${cookieName(stickyCookie)} insert indirect nocache dynamic httponly${secure} attr SameSite=Lax`,
    place`  dynamic-cookie-key ${hexKey(cookieKey(config.key.reveal(), name))}`,
  ];
}

/**
 * A request that may have had an effect is not sent again once a server has it. None is after a silent server: what takes too long
 * would take as long elsewhere, on one server more.
 */
function retryLines({ retries }: L7Upstream, at: FieldPath): RenderedLine[] {
  const place = line([...at, 'retries']);
  if (retries === 0) return [place`  retries 0`];
  return [
    place`  retries ${integer(retries)}`,
    place`  option redispatch 1`,
    place`  retry-on conn-failure empty-response 500 502 503 504`,
    place`  http-request disable-l7-retry unless { method GET HEAD OPTIONS }`,
  ];
}

function healthLines(health: L7Health, { protocol, tls }: L7Upstream, at: FieldPath): RenderedLine[] {
  const place = line([...at, 'health']);
  const { kind, path, host, status, timeoutMs } = health;
  const timeout = place`  timeout check ${milliseconds(timeoutMs)}`;
  if (kind === 'tcp') return [timeout];
  const version = protocol === 'http2' ? words`HTTP/2` : words`HTTP/1.1`;
  const name = host ?? tls?.serverName;
  const header = name === undefined ? OWN_ADDRESS : hostAndPort(name);
  return [
    timeout,
    place`  option httpchk`,
    place`  http-check send meth GET uri ${requestTarget(path)} ver ${version} hdr host ${header}`,
    place`  http-check expect status ${integer(status.first, 100, 599)}-${integer(status.last, 100, 599)}`,
  ];
}

/** Address and port of the server that is checked: `192.0.2.1:80`, `[2001:db8::1]:80`. */
const OWN_ADDRESS = words`'%[bc_dst,regsub("^(.*:.*)$","[\\1]")]:%[bc_dst_port]'`;

/** How a connection to a server comes about. */
function reachOptions({ name, maxConnections, protocol, tls }: L7Upstream, directory: string): Token {
  const limit = words` maxconn ${integer(maxConnections, 1, L7_SERVER_CONNECTIONS_MAX)}`;
  if (tls === undefined) return protocol === 'http2' ? words`${limit} proto h2` : limit;
  const server = hostName(tls.serverName);
  const ca = tls.ca === undefined ? words`@system-ca` : fileIn(directory, serverAuthoritiesFile(name));
  const own =
    tls.certificate === undefined ? NOTHING : words` crt ${fileIn(directory, ownCertificateFile(name))}`;
  const alpn = protocol === 'http2' ? words`h2` : words`http/1.1`;
  return words`${limit} ssl verify required ca-file ${ca} sni str(${server}) verifyhost ${server}${own} alpn ${alpn}`;
}

function checkOptions(health: L7Health, { passiveErrors, slowStartMs, tls, protocol }: L7Upstream): Token {
  const { intervalMs, rise, fall, port, kind } = health;
  const times = words`inter ${milliseconds(intervalMs)} rise ${integer(rise, 1)} fall ${integer(fall, 1)}`;
  const elsewhere = port === undefined ? NOTHING : words` port ${integer(port, 1, 65_535)}`;
  const overTls = tls === undefined ? NOTHING : words` check-ssl check-sni ${hostName(tls.serverName)}`;
  const overHttp2 =
    protocol === 'http2' && kind === 'http'
      ? tls === undefined
        ? words` check-proto h2`
        : words` check-alpn h2`
      : NOTHING;
  const passive =
    passiveErrors === undefined
      ? NOTHING
      : words` observe layer7 error-limit ${integer(passiveErrors, 1)} on-error mark-down`;
  const slow = slowStartMs === 0 ? NOTHING : words` slowstart ${milliseconds(slowStartMs)}`;
  return words` check ${times}${elsewhere}${overTls}${overHttp2}${passive}${slow}`;
}
