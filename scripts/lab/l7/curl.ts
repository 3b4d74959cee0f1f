/**
 * curl, as a client of the proxies: HTTP/1.1 or 2, over TLS with the tests' authority, with a cookie jar or a client's certificate. An
 * answer that does not come is a value too, with curl's own code.
 *
 *   const answer = await curl({ url: 'https://shop.example.com/v1/', address: VIP6, ca: authority.file }, lab.client.namespace);
 */
import { inNamespace, run } from '../command.js';

export interface CurlRequest {
  readonly url: string;
  /** Where to connect to instead of what the URL names, an IPv4 or IPv6 address; the URL's name stays that of TLS and HTTP. */
  readonly address?: string;
  /** `1.1` when not given; `2` falls back if the server does not offer it over TLS, `2c` is without TLS and falls back to nothing. */
  readonly http?: '1.0' | '1.1' | '2' | '2c';
  /** File of the authority that is trusted. */
  readonly ca?: string;
  /** File of certificate and key. */
  readonly clientCertificate?: string;
  readonly method?: string;
  /** `Name: value`; `Name;` for an empty value. */
  readonly headers?: readonly string[];
  readonly body?: string;
  /** File in which cookies are kept from one call to the next. */
  readonly cookies?: string;
  /** 10,000 when not given. */
  readonly timeoutMs?: number;
  /** Further options, as curl has them. */
  readonly options?: readonly string[];
}

export interface CurlAnswer {
  /** 0 when an answer came, whatever its status; 28: out of time, 35: TLS handshake, 52: no answer, 56: connection reset, 60: certificate. */
  readonly exitCode: number;
  /** In curl's words, when the exit code is not 0. */
  readonly error: string | null;
  /** 0 when there was no answer. */
  readonly status: number;
  /** `1`, `1.1` or `2`. */
  readonly httpVersion: string;
  /** In their order, with names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

const TIMEOUT_MS = 10_000;
const SPARE_MS = 5_000;
const VERSIONS = { '1.0': '--http1.0', '1.1': '--http1.1', '2': '--http2', '2c': '--http2-prior-knowledge' };
const HEADERS_END = '\r\n\r\n';
/** An interim answer comes before the one that counts. */
const INTERIM = /^HTTP\/[\d.]+ 1\d\d/;

/** In a namespace, or in this process's own when none is given. */
export async function curl(request: CurlRequest, namespace?: string): Promise<CurlAnswer> {
  const argv = curlArguments(request);
  const timeoutMs = (request.timeoutMs ?? TIMEOUT_MS) + SPARE_MS;
  const printed = await run(inNamespace(namespace, argv), {
    timeoutMs,
    mayFail: true,
  });
  const end = printed.lastIndexOf('\n');
  const told = JSON.parse(printed.slice(end + 1));
  return {
    exitCode: told.exitcode,
    error: told.errormsg,
    status: told.response_code,
    httpVersion: told.http_version,
    ...parseAnswer(printed.slice(0, end)),
  };
}

/** The value of a header of this name (in lower case), or undefined; several are an error. */
export function headerOf({ headers }: CurlAnswer, name: string): string | undefined {
  const values = headers.filter(([each]) => each === name).map(([, value]) => value);
  if (values.length > 1) throw new Error(`header ${name} came ${values.length} times: ${values.join(' | ')}`);
  return values[0];
}

function curlArguments(request: CurlRequest): string[] {
  const { url, address, http = '1.1', ca, clientCertificate, method, headers = [], body, cookies } = request;
  const { timeoutMs = TIMEOUT_MS, options = [] } = request;
  return [
    // Neither a user's settings nor a proxy of the environment.
    ...['curl', '--disable', '--noproxy', '*', '--silent', '--include', '--globoff', '--path-as-is'],
    ...[VERSIONS[http], '--max-time', `${timeoutMs / 1000}`, '--write-out', '\\n%{json}'],
    ...(address === undefined
      ? []
      : ['--connect-to', `::${address.includes(':') ? `[${address}]` : address}:`]),
    ...(ca === undefined ? [] : ['--cacert', ca]),
    ...(clientCertificate === undefined ? [] : ['--cert', clientCertificate]),
    ...(method === undefined ? [] : method === 'HEAD' ? ['--head'] : ['--request', method]),
    ...headers.flatMap((header) => ['--header', header]),
    ...(body === undefined ? [] : ['--data-binary', body]),
    ...(cookies === undefined ? [] : ['--cookie', cookies, '--cookie-jar', cookies]),
    ...options,
    url,
  ];
}

function parseAnswer(text: string): Pick<CurlAnswer, 'headers' | 'body'> {
  let rest = text;
  while (INTERIM.test(rest)) rest = rest.slice(rest.indexOf(HEADERS_END) + HEADERS_END.length);
  const end = rest.indexOf(HEADERS_END);
  if (end < 0) return { headers: [], body: '' };
  const lines = rest.slice(0, end).split('\r\n').slice(1);
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { headers, body: rest.slice(end + HEADERS_END.length) };
}
