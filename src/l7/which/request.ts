/**
 * A request as the command line has it, a URL and header lines, read into what a proxy host receives. By hand: `new URL` would
 * resolve `/a/../b`, change the case of hosts and encode characters, and routes compare bytes as they are sent.
 *
 * What HAProxy answers 400 to is refused, with the reason (HAProxy 2.6: h1_headers_to_hdr_list, h1_handle_headers).
 */
import type { NameValue } from '../../config/l7/types.js';
import { quote } from '../../config/path.js';
import { AnyhopError } from '../../core/errors.js';
import { L7_REQUEST_HEADERS_MAX, L7_WHICH_BYTES_MAX } from '../../core/limits.js';
import { parseAddress } from '../../packet/address.js';
import type { RouteRequest } from '../routes/explain.js';
import { trimmed } from '../routes/matching.js';

export interface AskedRequest {
  readonly scheme: 'http' | 'https';
  /** Of the URL: a name, or an address without brackets. Clients send a name by SNI. */
  readonly host: string;
  /** Whether the URL's host is an address. */
  readonly isAddress: boolean;
  readonly port: number;
  /** What routes see; one UTF-16 unit a byte, as HAProxy compares bytes. */
  readonly sent: RouteRequest & { readonly host: string; readonly path: string };
}

const DEFAULT_PORTS = { http: 80, https: 443 } as const;
const URL_EXPECTED = 'expected https://HOST[:PORT]/PATH, or http://';
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** They say how long a body is, and these requests have none. */
const BODY_HEADERS: readonly string[] = ['content-length', 'transfer-encoding'];

/**
 * @param url as a client sends it: nothing is decoded or resolved
 * @param lines of headers, `name: value`, in their order; `host` stands in for the URL's host
 * @throws AnyhopError ERR_USAGE
 */
export function readRequest(url: string, lines: readonly string[]): AskedRequest {
  const { target, ...place } = readUrl(url);
  const headers = lines.map(readHeader);
  refuseUpgradeWithoutKey(headers);
  const isHost = ({ name }: NameValue): boolean => name.toLowerCase() === 'host';
  const host = oneHost(headers.filter(isHost).map(({ value }) => value)) ?? hostHeader(place);
  const sent = { host, path: target, headers: headers.filter((line) => !isHost(line)) };
  refuseMore(sent);
  return { ...place, sent };
}

interface UrlParts extends Omit<AskedRequest, 'sent'> {
  readonly target: string;
}

function readUrl(url: string): UrlParts {
  const [, schemeText, rest = ''] = /^(https?):\/\/(.*)$/is.exec(url) ?? [];
  if (schemeText === undefined) throw wrong(`found the URL ${quote(url)}; ${URL_EXPECTED}`);
  const scheme = schemeText.toLowerCase() as AskedRequest['scheme'];
  const end = rest.search(/[/?#]/);
  const [authority, after] = end < 0 ? [rest, ''] : [rest.slice(0, end), rest.slice(end)];
  // A client of a URL without a path asks for `/`.
  const target = after.startsWith('/') ? after : `/${after}`;
  refuseTarget(target);
  return { scheme, ...readAuthority(authority, scheme), target };
}

function readAuthority(
  authority: string,
  scheme: AskedRequest['scheme'],
): Pick<AskedRequest, 'host' | 'isAddress' | 'port'> {
  const [, brackets, name, digits] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?$/.exec(authority) ?? [];
  const host = brackets ?? name;
  if (host === undefined)
    throw wrong(
      `found ${quote(authority)} in the URL; expected a host in ASCII, with or without a port`,
      'Clients send the "xn--" form of other letters, and no user. --header "host: ..." sends any other host.',
    );
  const address = parseAddress(host);
  if (brackets !== undefined && address?.family !== 6)
    throw wrong(`found ${quote(authority)} in the URL; expected an IPv6 address in the brackets`);
  const port = digits === undefined ? DEFAULT_PORTS[scheme] : Number(digits);
  if (port < 1 || port > 65_535) throw wrong(`found the port ${digits} in the URL; expected 1 to 65535`);
  return { host, isAddress: address !== undefined, port };
}

/** As clients write it: without the port that the scheme has anyway. */
function hostHeader({ host, port, scheme }: Omit<UrlParts, 'target'>): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === DEFAULT_PORTS[scheme] ? name : `${name}:${port}`;
}

function refuseTarget(target: string): void {
  if (target.includes('#'))
    throw wrong(
      'found "#" in the URL; HAProxy answers 400 to it',
      'Clients keep what stands after "#" to themselves: leave it out. As a part of a path it is %23.',
    );
  const odd = /[^!-~]/u.exec(target)?.[0];
  if (odd !== undefined)
    throw wrong(
      `found ${quote(odd)} in the URL; expected ${percentEncoded(odd)}`,
      'HAProxy answers 400 to spaces, control characters and letters beyond ASCII in a path. Clients encode them.',
    );
}

function percentEncoded(char: string): string {
  return [...Buffer.from(char)]
    .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    .join('');
}

function readHeader(line: string): NameValue {
  const colon = line.indexOf(':');
  if (colon < 0) throw wrong(`found the header ${quote(line)}; expected "name: value"`);
  const name = line.slice(0, colon);
  if (!TOKEN.test(name))
    throw wrong(
      `found the header name ${quote(name)}; HAProxy answers 400 to it`,
      `Expected letters, digits and "-", or any of !#$%&'*+.^_\`|~, up to the colon.`,
    );
  if (/[\r\n\0]/.test(line)) throw wrong(`found ${quote(line)}; expected one line a header`);
  if (BODY_HEADERS.includes(name.toLowerCase()))
    throw wrong(`found the header ${quote(name)}; expected none: the request has no body`);
  return { name, value: trimmed(bytesOf(line.slice(colon + 1))) };
}

/** One UTF-16 unit a byte. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function oneHost(hosts: readonly string[]): string | undefined {
  const [first, ...others] = hosts;
  if (others.some((other) => other.toLowerCase() !== first!.toLowerCase()))
    throw wrong(
      'found two host headers that differ; HAProxy answers 400 to them',
      'Expected one. It stands in for the host of the URL.',
    );
  return first;
}

function refuseUpgradeWithoutKey(headers: readonly NameValue[]): void {
  const has = (wanted: string, token?: string): boolean =>
    headers.some(
      ({ name, value }) =>
        name.toLowerCase() === wanted &&
        (token === undefined ||
          value
            .toLowerCase()
            .split(',')
            .some((part) => trimmed(part) === token)),
    );
  if (has('connection', 'upgrade') && has('upgrade', 'websocket') && !has('sec-websocket-key'))
    throw wrong(
      'found an upgrade to WebSocket without a sec-websocket-key header; HAProxy answers 400 to it',
    );
}

function refuseMore({ host, path, headers }: AskedRequest['sent']): void {
  if (headers.length >= L7_REQUEST_HEADERS_MAX)
    throw wrong(
      `found ${headers.length} headers beside host; HAProxy answers 400 to more than ${L7_REQUEST_HEADERS_MAX - 1}`,
    );
  const bytes = headers.reduce(
    (sum, { name, value }) => sum + name.length + value.length,
    host.length + path.length,
  );
  if (bytes > L7_WHICH_BYTES_MAX)
    throw wrong(
      `found a request of ${bytes} bytes; expected ${L7_WHICH_BYTES_MAX} at most: HAProxy's buffer takes few more`,
    );
}

function wrong(message: string, hint?: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', message, hint === undefined ? {} : { hint });
}
