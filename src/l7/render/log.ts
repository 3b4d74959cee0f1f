/**
 * The access log: a JSON object a request, and one for a connection that fails before its first request. What a client sends
 * passes HAProxy's JSON encoder and is cut to a length first, so every line is whole and valid JSON. Without the query, which
 * may hold secrets.
 *
 * HAProxy has its own messages for the same target ("Proxy f_web stopped"). They are no JSON, and stay out by their level, "warning": a
 * request is logged as "err", nothing below "err" is written, and syslog gets all of it as "info". What is left are HAProxy's messages of
 * level "err" and above about a frontend: it is out of memory or of file descriptors.
 */
import type { FieldPath } from '../../config/path.js';
import { L7_LOG_FIELD_BYTES_MAX, L7_LOG_PATH_BYTES_MAX } from '../../core/limits.js';
import { identifier, integer, line, list, type Token, words } from './line.js';
import type { RenderedLine } from './rendering.js';

/** Of a request, as HAProxy names it; also the least level that is written. */
export const ACCESS_LEVEL = identifier('err');

/** Invalid UTF-8 is left out. */
const JSON_TEXT = words`json(utf8s)`;
const CUT = words`bytes(0,${integer(L7_LOG_FIELD_BYTES_MAX)})`;

/**
 * When the line is written, in UTC with milliseconds. HAProxy's own times of a request begin with the idle time before it. `concat` makes a
 * text of a number, of which `bytes` then takes digits.
 */
const TIME = words`%[date(0,ms),div(1000),utime(%Y-%m-%dT%H:%M:%S)].%[date(0,ms),mod(1000),add(1000),concat(),bytes(1,3)]Z`;

/** What every object begins with. */
const opening = (frontend: string): Token[] => [
  words`"time":"${TIME}"`,
  words`"client":"%ci"`,
  words`"client_port":%cp`,
  words`"frontend":"${identifier(frontend)}"`,
];

/** They are negative when a request does not get there. */
const TIMES = [
  words`"request_ms":%TR`,
  words`"queue_ms":%Tw`,
  words`"connect_ms":%Tc`,
  words`"response_ms":%Tr`,
  words`"total_ms":%Ta`,
];

const requestLog = (frontend: string): Token[] => [
  ...opening(frontend),
  words`"backend":"%b"`,
  words`"server":"%s"`,
  words`"method":"%[capture.req.method,${CUT},${JSON_TEXT}]"`,
  words`"host":"%[var(txn.log_host),${JSON_TEXT}]"`,
  words`"path":"%[var(txn.log_path),${JSON_TEXT}]"`,
  // Not capture.req.ver, which says HTTP/1.1 of HTTP/2 too.
  words`"version":"HTTP/%[fc_http_major]"`,
  words`"status":%ST`,
  words`"request_bytes":%U`,
  words`"response_bytes":%B`,
  ...TIMES,
  words`"retries":"%rc"`,
  words`"termination":"%tsc"`,
  words`"id":"%[var(txn.id)]"`,
  words`"tls":"%sslv"`,
  words`"sni":"%[ssl_fc_sni,${CUT},${JSON_TEXT}]"`,
];

const errorLog = (frontend: string): Token[] => [
  ...opening(frontend),
  words`"status":%ST`,
  words`"error":"%[fc_err_str,${JSON_TEXT}]"`,
  words`"tls_error":"%[ssl_fc_err_str,${JSON_TEXT}]"`,
];

const object = (fields: readonly Token[]): Token => words`'{${list(fields, ',')}}'`;

/** @param frontend its name in the config */
export function logLines(frontend: string, accessLog: string, at: FieldPath): RenderedLine[] {
  if (accessLog === 'off') return [];
  return [
    line(at)`  log global`,
    line(at)`  log-format ${object(requestLog(frontend))}`,
    line(at)`  error-log-format ${object(errorLog(frontend))}`,
  ];
}

/** `txn.id`, and what the log needs of a request, which is gone when the line is written. Stand before all other rules. */
export function logRules(accessLog: string, at: FieldPath): RenderedLine[] {
  const id = line(at)`  http-request set-var(txn.id) uuid()`;
  if (accessLog === 'off') return [id];
  return [
    line(at)`  http-request set-log-level ${ACCESS_LEVEL}`,
    id,
    line(at)`  http-request set-var(txn.log_host) req.fhdr(host),${CUT}`,
    line(at)`  http-request set-var(txn.log_path) path,bytes(0,${integer(L7_LOG_PATH_BYTES_MAX)})`,
  ];
}
