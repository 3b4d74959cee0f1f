/** Requests over HTTP/2 that would mean something else when they are written down as HTTP/1.1 for a server, and what becomes of each. */
import { smuggled } from './hostile.js';
import type { Http2Request } from './http2.js';
import type { Understood } from './recorders.js';

type Fields = Http2Request['fields'];

export interface HostileHttp2 {
  readonly what: string;
  request(host: string): Http2Request;
}

export interface AcceptedHttp2 extends HostileHttp2 {
  readonly understood: Partial<Understood>;
}

/** The pseudo-header fields of a request, some of them changed. */
export const pseudo = (host: string, changed: Readonly<Record<string, string>> = {}): Fields =>
  Object.entries({ ':method': 'POST', ':scheme': 'https', ':authority': host, ':path': '/m', ...changed });

const END_OF_CHUNKS = '0\r\n\r\n';
/** A server that takes the body for chunks finds a request behind it. */
const hidden = (host: string): readonly string[] => [`${END_OF_CHUNKS}${smuggled(host)}`];

/** With further fields, and a body that hides a request. */
const withField = (name: string, value: string): HostileHttp2 => ({
  what: `the field ${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  request: (host) => ({ fields: [...pseudo(host), [name, value]], data: hidden(host) }),
});

const withPseudo = (name: string, value: (host: string) => string): HostileHttp2 => ({
  what: `${name} ${JSON.stringify(value('HOST'))}`,
  request: (host) => ({ fields: pseudo(host, { [name]: value(host) }), data: hidden(host) }),
});

const withFields = (what: string, fields: (host: string) => Fields): HostileHttp2 => ({
  what,
  request: (host) => ({ fields: fields(host), data: hidden(host) }),
});

const without = (name: string): HostileHttp2 =>
  withFields(`no ${name}`, (host) => pseudo(host).filter(([each]) => each !== name));

const withLength = (
  what: string,
  length: string,
  data?: (host: string) => readonly string[],
): HostileHttp2 => ({
  what,
  request: (host) => ({
    fields: [...pseudo(host), ['content-length', length]],
    ...(data && { data: data(host) }),
  }),
});

const withTrailer = (name: string, value: string): HostileHttp2 => ({
  what: `the trailer ${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  request: (host) => ({ fields: pseudo(host), data: ['abc'], trailers: [[name, value]] }),
});

/** No server hears of it; the stream is reset or answered by the proxy. */
export const REFUSED_HTTP2: readonly HostileHttp2[] = [
  withLength('less length than body', '3', (host) => [`abc${smuggled(host)}`]),
  withLength('less length than body, in two frames', '3', (host) => ['abc', smuggled(host)]),
  withLength('no length and a body', '0', (host) => [smuggled(host)]),
  withLength('more length than body', '10', () => ['abc']),
  ...['3x', '+3', '3\r\nx-probe: a', '3, 4'].map((length) =>
    withLength(`the length ${JSON.stringify(length)}`, length, () => ['abc']),
  ),
  withFields('two lengths', (host) => [...pseudo(host), ['content-length', '3'], ['content-length', '0']]),
  ...['transfer-encoding', 'Transfer-Encoding', 'transfer-encoding ', 'x-probe: a\r\ntransfer-encoding'].map(
    (name) => withField(name, 'chunked'),
  ),
  ...['\r\n', '\n', '\r', '\0'].map((char) => withField('x-probe', `a${char}transfer-encoding: chunked`)),
  ...['\x01', '\x1b', '\x7f'].map((char) => withField('x-probe', `a${char}b`)),
  ...['x-probe: a', 'X-Probe', '', 'x-pro\0be', 'x\r\ny', ':unknown', ':status'].map((name) =>
    withField(name, '200'),
  ),
  withField('connection', 'transfer-encoding'),
  withField('keep-alive', 'timeout=5'),
  withField('proxy-connection', 'close'),
  withField('upgrade', 'h2c'),
  withField('te', 'chunked'),
  withField('cookie', 'a=1\r\ntransfer-encoding: chunked'),
  withPseudo(':method', (host) => `GET /smuggled HTTP/1.1\r\nHost: ${host}\r\n\r\nPOST`),
  withPseudo(':method', () => 'GET /smuggled HTTP/1.1'),
  withPseudo(':method', () => ''),
  withPseudo(':method', () => 'CONNECT'),
  withPseudo(':path', (host) => `/m HTTP/1.1\r\nHost: ${host}\r\n\r\nGET /smuggled`),
  ...[
    '/m HTTP/1.1',
    '/m\tx',
    '/m\0',
    '/m\x01',
    '/m\x7f',
    '/m\xe9',
    '/m#x',
    '',
    'm',
    '@x/m',
    'http://other.example.com/m',
  ].map((path) => withPseudo(':path', () => path)),
  withPseudo(':authority', (host) => `${host}\r\ntransfer-encoding: chunked`),
  withPseudo(':authority', (host) => `${host} a`),
  withPseudo(':authority', (host) => `${host}\0`),
  ...['https://x/smuggled?', 'https\r\n\r\nGET /smuggled', 'x y', 'ftp'].map((scheme) =>
    withPseudo(':scheme', () => scheme),
  ),
  ...[':method', ':scheme', ':path'].map(without),
  ...[':method', ':authority', ':path'].map((name) =>
    withFields(`two of ${name}`, (host) => [...pseudo(host), [name, '/smuggled']]),
  ),
  withFields('a pseudo-header field after a field', (host) => [
    ...pseudo(host).filter(([name]) => name !== ':path'),
    ['x-probe', 'a'],
    [':path', '/m'],
  ]),
  withTrailer('x-probe', 't\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x'),
  withTrailer('x-probe', 'a\0'),
  withTrailer('transfer-encoding', 'chunked'),
  withTrailer('connection', 'close'),
  withTrailer(':path', '/smuggled'),
];

const same: AcceptedHttp2['understood'] = { method: 'POST', path: '/m', body: 'abc' };

/** Every server understands exactly this. */
export const ACCEPTED_HTTP2: readonly AcceptedHttp2[] = [
  { ...withLength('the right length', '3', () => ['abc']), understood: same },
  { ...withLength('a length without a body', '3'), understood: { ...same, body: '' } },
  {
    what: 'the same length twice',
    request: (host) => ({
      fields: [...pseudo(host), ['content-length', '3'], ['content-length', '3']],
      data: ['a', 'bc'],
    }),
    understood: same,
  },
  {
    what: 'a body that looks like chunks, in two frames',
    request: (host) => ({ fields: pseudo(host), data: [END_OF_CHUNKS, smuggled(host)] }),
    understood: { method: 'POST', path: '/m' },
  },
  ...[['x-probe', ' a '] as const, ['te', 'trailers'] as const, ['host', 'other.example.com'] as const].map(
    ([name, value]): AcceptedHttp2 => ({
      what: `the field ${name}: ${value}`,
      request: (host) => ({ fields: [...pseudo(host), [name, value]], data: ['abc'] }),
      understood: { ...same, probe: name === 'x-probe' ? 'a' : '' },
    }),
  ),
  {
    what: 'a host instead of an authority',
    request: (host) => ({
      fields: [...pseudo(host).filter(([name]) => name !== ':authority'), ['host', host]],
      data: ['abc'],
    }),
    understood: same,
  },
  {
    what: 'plain http as the scheme',
    request: (host) => ({ fields: pseudo(host, { ':scheme': 'http' }), data: ['abc'] }),
    understood: same,
  },
  {
    what: 'two slashes before a host',
    request: (host) => ({ fields: pseudo(host, { ':path': '//other.example.com/m' }), data: ['abc'] }),
    understood: { ...same, path: '//other.example.com/m' },
  },
  { ...withTrailer('x-probe', 't'), understood: { ...same, probe: '' } },
];
