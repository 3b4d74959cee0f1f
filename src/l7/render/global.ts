/** What is the same for all frontends and upstreams: limits, TLS towards both sides, the peer that keeps stick tables, timeouts. */
import type { L7Config } from '../../config/l7/types.js';
import {
  L7_CONNECT_MS,
  L7_CONNECTIONS_DEFAULT,
  L7_FIN_MS,
  L7_LOG_LINE_BYTES_MAX,
  L7_QUEUE_MS,
  L7_REQUEST_MS,
  L7_TICKET_LIFETIME_MS,
} from '../../core/limits.js';
import { filePath, identifier, integer, line, list, milliseconds, words } from './line.js';
import { ACCESS_LEVEL } from './log.js';
import { haproxySockets, LOCAL_PEER, type RenderedLine, runDirectoryOf } from './rendering.js';

/** Mozilla's "intermediate", version 5.7, without the finite-field suites, which need parameters of their own. */
const CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
];
const CIPHER_SUITES = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];
const CURVES = ['X25519', 'prime256v1', 'secp384r1'];

const colons = (names: readonly string[]) => list(names.map(identifier), ':');

/** No chroot and no user: anyhop starts HAProxy as an ordinary user, and certificates are read again at runtime. */
export function globalLines(config: L7Config): RenderedLine[] {
  const everywhere = line([]);
  return [
    everywhere`global`,
    ...logTarget(config.accessLog),
    line(['l7', 'max_connections'])`  maxconn ${integer(config.maxConnections ?? L7_CONNECTIONS_DEFAULT, 1)}`,
    line(['l7', 'drain_deadline'])`  hard-stop-after ${milliseconds(config.drainDeadlineMs)}`,
    everywhere`  spread-checks 10`,
    ...['bind', 'server'].flatMap((side) => [
      everywhere`  ssl-default-${identifier(side)}-ciphers ${colons(CIPHERS)}`,
      everywhere`  ssl-default-${identifier(side)}-ciphersuites ${colons(CIPHER_SUITES)}`,
      everywhere`  ssl-default-${identifier(side)}-options ssl-min-ver TLSv1.2`,
    ]),
    everywhere`  ssl-default-bind-curves ${colons(CURVES)}`,
    // Sessions are resumed by tickets. HAProxy has one cache of sessions for all frontends, so a session that was made without a client
    // certificate would be resumed where one is needed.
    everywhere`  tune.ssl.cachesize 0`,
    everywhere`  tune.ssl.lifetime ${milliseconds(L7_TICKET_LIFETIME_MS)}`,
  ];
}

function logTarget(accessLog: string): RenderedLine[] {
  if (accessLog === 'off') return [];
  const target =
    accessLog === 'stdout'
      ? words`stdout len ${integer(L7_LOG_LINE_BYTES_MAX)} format raw`
      : words`${filePath(accessLog)} len ${integer(L7_LOG_LINE_BYTES_MAX)}`;
  return [line(['l7', 'access_log'])`  log ${target} local0 ${ACCESS_LEVEL} info`];
}

/** After a reload, the new worker gets the stick tables from the former one over this socket. */
export function peerLines({ frontends }: L7Config, directory: string): RenderedLine[] {
  if (frontends.every(({ clientRate }) => clientRate === undefined)) return [];
  const { peers } = haproxySockets(runDirectoryOf(directory));
  return [
    line([])`peers ${identifier(LOCAL_PEER)}`,
    line([])`  peer ${identifier(LOCAL_PEER)} unix@${filePath(peers)}`,
  ];
}

/**
 * A worker that stops, at a reload or a drain, tells clients so in its answers (`Connection: close`, GOAWAY), and keeps idle
 * connections for as long as ever. With `close-spread-time` it closes some of them just as a request arrives, which then fails.
 */
const STOPPING = [line([])`  option idle-close-on-response`];

/** What fails before the first rule is logged at the level of the others (log.ts). */
const ONLY_ACCESS = [line([])`  option log-separate-errors`];

/** Frontends and upstreams say the timeouts that the config knows. */
export function defaultLines(): RenderedLine[] {
  const everywhere = line([]);
  return [
    everywhere`defaults`,
    everywhere`  mode http`,
    // Connections without a request: probes of ports and balancers.
    everywhere`  option dontlognull`,
    ...ONLY_ACCESS,
    ...STOPPING,
    everywhere`  timeout http-request ${milliseconds(L7_REQUEST_MS)}`,
    everywhere`  timeout connect ${milliseconds(L7_CONNECT_MS)}`,
    everywhere`  timeout queue ${milliseconds(L7_QUEUE_MS)}`,
    everywhere`  timeout client-fin ${milliseconds(L7_FIN_MS)}`,
    everywhere`  timeout server-fin ${milliseconds(L7_FIN_MS)}`,
  ];
}
