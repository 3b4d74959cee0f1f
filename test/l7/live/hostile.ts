/**
 * Requests over HTTP/1 that two servers could read differently, by what is odd about them, and what becomes of each: refused, or one
 * request with one meaning. Each text is sent to several servers with the host name of each.
 */
import type { Understood } from './recorders.js';

export interface Hostile {
  readonly what: string;
  text(host: string): string;
}

/** What every server understands of it. */
export interface Accepted extends Hostile {
  readonly request: Partial<Understood>;
  /** Whether the connection ends after its answer; else the next request of it is answered too. */
  readonly closes?: boolean;
}

/** What stands in bodies: no server may take it for a request. */
export const smuggled = (host: string): string => `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
const CHUNKS = '3\r\nabc\r\n0\r\n\r\n';
const CHUNKED = 'Transfer-Encoding: chunked';
const GET = 'GET /m HTTP/1.1';
const POST = 'POST /m HTTP/1.1';
const ODD_PATH = '//m/../..;/%2e%2F\\x"<>^`{|}?a=http://b';

/** A request with these lines after the host's. */
const request =
  (fields: readonly string[], body = '', line = POST) =>
  (host: string): string =>
    `${[line, `Host: ${host}`, ...fields].join('\r\n')}\r\n\r\n${body}`;

/** With a body of this coding. */
const chunked = (body: string): Hostile['text'] => request([CHUNKED], body);

const named = (texts: Readonly<Record<string, Hostile['text']>>): Hostile[] =>
  Object.entries(texts).map(([what, text]) => ({ what, text }));

/** Answered with 400 or 422, or not at all, and the connection is closed. */
export const REFUSED: readonly Hostile[] = [
  ...named({
    'two lengths': request(['Content-Length: 3', 'Content-Length: 4'], 'abcd'),
    'two lengths in one line': request(['Content-Length: 3, 4'], 'abcd'),
    'no request line of HTTP/1': () => 'GET /m\r\n\r\n',
    'the preface of HTTP/2 in the wrong place': () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a first field that is folded': (host) => `${GET}\r\n X-Probe: a\r\nHost: ${host}\r\n\r\n`,
    'two hosts': request(['Host: other.example.com'], '', GET),
    'a space before the request line': (host) => ` ${GET}\r\nHost: ${host}\r\n\r\n`,
  }),
  ...['+3', '-3', '0x3', '', '3 x', '3;', '99999999999999999999999', '\x0b3', '3\x00'].map((length) => ({
    what: `the length ${JSON.stringify(length)}`,
    text: request([`Content-Length: ${length}`], 'abc'),
  })),
  ...[
    ...['xchunked', 'chunkedx', 'identity', 'gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked'],
    ...['chunked;q=1', '"chunked"', ', chunked', 'chunked,', '', '\x0bchunked', 'chunked\x0c', 'chun\tked'],
  ].map((coding) => ({
    what: `the coding ${JSON.stringify(coding)}`,
    text: request([`Transfer-Encoding: ${coding}`], CHUNKS),
  })),
  ...['chunked', 'identity', 'x'].flatMap((other) =>
    [
      [other, 'chunked'],
      ['chunked', other],
    ].map((codings) => ({
      what: `the codings ${codings.join(' and ')}`,
      text: request(
        codings.map((coding) => `Transfer-Encoding: ${coding}`),
        CHUNKS,
      ),
    })),
  ),
  ...named({
    'an unknown coding beside a length': request(['Transfer-Encoding: x', 'Content-Length: 3'], 'abc'),
    'a coding in HTTP/1.0': request([CHUNKED], CHUNKS, 'POST /m HTTP/1.0'),
    'a coding after a bare CR': request([`X-Probe: x\r${CHUNKED}`], CHUNKS),
  }),
  ...[
    'Transfer-Encoding : chunked',
    'Content-Length : 3',
    'Content-Length\t: 3',
    'no colon',
    ': no name',
  ].map((field) => ({ what: `the line ${JSON.stringify(field)}`, text: request([field], 'abc') })),
  ...['\0', '\x01', '\x0b', '\x1b', '\x7f'].flatMap((char) => [
    { what: `${JSON.stringify(char)} in a value`, text: request([`X-Probe: a${char}b`], '', GET) },
    { what: `${JSON.stringify(char)} in a name`, text: request([`X-Pro${char}be: a`], '', GET) },
    { what: `${JSON.stringify(char)} in a path`, text: request([], '', `GET /m${char} HTTP/1.1`) },
  ]),
  ...[
    'HTTP/0.9',
    'HTTP/1.2',
    'HTTP/9.9',
    'HTTP/1.1x',
    'HTTP/1.10',
    'HTTP/01.1',
    'HTTP/11',
    'http/1.1',
    'HTTP/1.1 ',
  ].map((version) => ({
    what: `the version ${JSON.stringify(version)}`,
    text: request([], '', `GET /m ${version}`),
  })),
  ...['/m#a', '/m\xe9', 'm', 'http://other.example.com/m', ''].map((target) => ({
    what: `the target ${JSON.stringify(target)}`,
    text: request([], '', `GET ${target} HTTP/1.1`),
  })),
  ...[
    ...[
      '3;a\rb\r\nabc\r\n0\r\n\r\n',
      '3 abc\r\nabc\r\n0\r\n\r\n',
      ' 3\r\nabc\r\n0\r\n\r\n',
      '0x3\r\nabc\r\n0\r\n\r\n',
    ],
    ...['+3\r\nabc\r\n0\r\n\r\n', '-3\r\nabc\r\n0\r\n\r\n', '\r\nabc\r\n0\r\n\r\n', '3\r\nabcd\r\n0\r\n\r\n'],
    ...[
      '3\r\nabc\rX0\r\n\r\n',
      '3\r\nabc0\r\n\r\n',
      '10000000000000003\r\nabc\r\n0\r\n\r\n',
      'g\r\nabc\r\n0\r\n\r\n',
    ],
    ...['ffffffffffffffff\r\nabc\r\n0\r\n\r\n', '3\r\nabc\r\n0\r\n', '3\r\nabc\r\n0\r\nno colon\r\n\r\n'],
  ].map((body) => ({ what: `the chunks ${JSON.stringify(body)}`, text: chunked(body) })),
  ...['websocket', 'WebSocket', 'websocket, h2c'].map((protocol) => ({
    what: `an upgrade to ${protocol} that is no handshake`,
    text: request([`Upgrade: ${protocol}`, 'Connection: Upgrade'], '', GET),
  })),
];

const body = (what: string, text: Hostile['text'], more: Partial<Accepted> = {}): Accepted => ({
  what,
  text,
  request: { method: 'POST', path: '/m', body: 'abc' },
  ...more,
});
const got = (what: string, text: Hostile['text'], more: Partial<Understood> = {}): Accepted => ({
  what,
  text,
  request: { method: 'GET', path: '/m', body: '', ...more },
});

/** Forgiven, and sent on in the one form that every server reads alike. */
export const ACCEPTED: readonly Accepted[] = [
  body('the same length twice', request(['Content-Length: 3', 'Content-Length: 3'], 'abc')),
  body('the same length twice in a line', request(['Content-Length: 3, 3'], 'abc')),
  body('a length with a zero before it', request(['Content-Length: 03'], 'abc')),
  body('a length after a tab', request(['Content-Length:\t3'], 'abc')),
  body('a length in a folded line', request(['Content-Length:', ' 3'], 'abc')),
  body('a length and a coding', request(['Content-Length: 3', CHUNKED], CHUNKS), { closes: true }),
  body('a coding and a length', request([CHUNKED, 'Content-Length: 3'], CHUNKS), { closes: true }),
  {
    what: 'a length that hides a request behind the chunks',
    text: (host) => request(['Content-Length: 6', CHUNKED], `0\r\n\r\n${smuggled(host)}`)(host),
    request: { method: 'POST', path: '/m', body: '' },
    closes: true,
  },
  {
    what: 'chunks that hide a request behind the length',
    text: (host) => {
      const hidden = smuggled(host);
      const chunks = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
      return request([CHUNKED, 'Content-Length: 4'], chunks)(host);
    },
    request: { method: 'POST', path: '/m' },
    closes: true,
  },
  body('a coding in capitals', request(['Transfer-Encoding: CHUNKED'], CHUNKS)),
  body('a coding with spaces around it', request(['Transfer-Encoding: \t chunked \t '], CHUNKS)),
  body('a coding in a folded line', request(['Transfer-Encoding:', ' chunked'], CHUNKS)),
  body('a coding with an underscore', request(['Transfer_Encoding: chunked', 'Content-Length: 3'], 'abc')),
  body('a coding after a bare LF', request([`X-Probe: x\n${CHUNKED}`], CHUNKS), {
    request: { method: 'POST', path: '/m', body: 'abc', probe: 'x' },
  }),
  body('bare LF everywhere', (host) => `${POST}\nHost: ${host}\nContent-Length: 3\n\nabc`),
  got('a folded value', request(['X-Probe: a', ' b'], '', GET), { probe: 'a   b' }),
  got('bytes beyond ASCII in a value', request(['X-Probe: \xe9\xff'], '', GET), { probe: '\xe9\xff' }),
  ...['3;a=b\r\nabc\r\n0;x\r\n\r\n', '3;a="b\\"c"\r\nabc\r\n0\r\n\r\n', '3 \r\nabc\r\n0\r\n\r\n'].map(
    (chunks) => body(`the chunks ${JSON.stringify(chunks)}`, chunked(chunks)),
  ),
  ...[
    '0003\r\nabc\r\n000\r\n\r\n',
    '3;a\nabc\r\n0\r\n\r\n',
    '3\nabc\n0\n\n',
    '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n',
  ].map((chunks) => body(`the chunks ${JSON.stringify(chunks)}`, chunked(chunks))),
  got('empty lines before it', (host) => `\r\n\r\n${request([], '', GET)(host)}`),
  got('spaces in the request line', request([], '', 'GET  /m  HTTP/1.1')),
  got('tabs in the request line', request([], '', 'GET\t/m\tHTTP/1.1')),
  got('the version HTTP/2.0', request([], '', 'GET /m HTTP/2.0')),
  body(
    'HTTP/1.0 that keeps the connection',
    request(['Connection: keep-alive', 'Content-Length: 3'], 'abc', 'POST /m HTTP/1.0'),
  ),
  ...[GET, 'HEAD /m HTTP/1.1', 'DELETE /m HTTP/1.1'].map(
    (line): Accepted => ({
      what: `a request in the body of ${line.split(' ')[0]}`,
      text: (host) => request([`Content-Length: ${smuggled(host).length}`], smuggled(host), line)(host),
      request: { method: line.split(' ')[0]!, path: '/m' },
    }),
  ),
  got('its own host twice', (host) => request([`Host: ${host}`], '', GET)(host)),
  ...['http://', 'https://', 'HTTP://', 'http://user@'].map((before) =>
    got(`the target ${before}HOST/m`, (host) => request([], '', `GET ${before}${host}/m HTTP/1.1`)(host)),
  ),
  got('a target without a path', (host) => request([], '', `GET http://${host} HTTP/1.1`)(host), {
    path: '/',
  }),
  got('odd characters in the path', request([], '', `GET ${ODD_PATH} HTTP/1.1`), { path: ODD_PATH }),
  got(
    'an upgrade to HTTP/2',
    request(
      ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'],
      '',
      GET,
    ),
  ),
  body('an upgrade with a body', (host) =>
    request(['Upgrade: websocket, h2c', 'Connection: Upgrade', 'Content-Length: 3'], 'abc')(host),
  ),
  body(
    'a connection that names our headers and those of the body',
    request(['Connection: keep-alive, X-Request-Id, Content-Length, Host', 'Content-Length: 3'], 'abc'),
  ),
  body('a connection that names the coding', request(['Connection: Transfer-Encoding', CHUNKED], CHUNKS)),
  body(
    'a request id of its own',
    request(['X-Request-Id: mine', 'X-Request-Id: mine too', 'Content-Length: 3'], 'abc'),
  ),
];

/**
 * What HAProxy sends on although a server may refuse it: a trailer that is none, a method that it does not have. Then that one request
 * is refused, and nothing else is read from it.
 */
export const LEFT_TO_SERVERS: readonly Accepted[] = [
  body(
    'trailers that are fields of the request',
    chunked(
      '3\r\nabc\r\n0\r\nX-Probe: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: x\r\nX-Request-Id: t\r\n\r\n',
    ),
  ),
  body('NUL in a trailer', chunked('3\r\nabc\r\n0\r\nX-Probe: t\0\r\n\r\n')),
  body('an expectation that nobody knows', request(['Expect: x', 'Content-Length: 3'], 'abc')),
  ...['TRACE /m', 'get /m', 'PROPFIND /m', 'OPTIONS *'].map((start): Accepted => {
    const [method, path] = start.split(' ');
    return {
      what: start,
      text: request([], '', `${start} HTTP/1.1`),
      request: { method: method!, path: path!, body: '' },
    };
  }),
];
