/**
 * Requests whose framing was tampered with, at random: lengths, codings, chunks, separators and line ends, and single bytes of all these.
 * A request that nobody sent hides in the body of each.
 */
import fc from 'fast-check';
import { smuggled } from './hostile.js';

/** A text of HTTP/1, but for the host name. */
export type Template = (host: string) => string;

const usually = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

const lineEnd = usually('\r\n', '\n', '\r', '\r\n ', '\r\n\t', '\n\r');
const separator = usually(': ', ':', ' : ', ':\t', '\t:', ':\x0b', ':  ');
const version = usually('HTTP/1.1', 'HTTP/1.0');
const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE');

const lengthField = fc.tuple(
  usually('Content-Length', 'content-length', 'Content_Length', 'Content-Length\0', 'X-Content-Length'),
  fc.oneof(
    { weight: 5, arbitrary: fc.constant((bytes: number) => `${bytes}`) },
    {
      weight: 5,
      arbitrary: fc.constantFrom<((bytes: number) => string)[]>(
        (bytes) => `${bytes + 1}`,
        (bytes) => `${Math.max(0, bytes - 1)}`,
        () => '0',
        () => '5',
        (bytes) => `+${bytes}`,
        (bytes) => `${bytes}, ${bytes}`,
        (bytes) => `0, ${bytes}`,
        (bytes) => `0${bytes}`,
        (bytes) => `0x${bytes.toString(16)}`,
        (bytes) => `${bytes} 0`,
        (bytes) => `${2 ** 32 + bytes}`,
        () => '',
      ),
    },
  ),
);

const codingField = fc.tuple(
  usually(
    'Transfer-Encoding',
    'transfer-encoding',
    'Transfer_Encoding',
    'Transfer-Encoding\0',
    'X-Transfer-Encoding',
  ),
  usually(
    'chunked',
    'Chunked',
    'xchunked',
    'chunked,',
    ',chunked',
    'identity',
    'chunked, identity',
    '"chunked"',
    'gzip, chunked',
    '\x0bchunked',
    '',
  ).map((value) => () => value),
);

const otherField = fc
  .constantFrom(
    ...[
      ['Connection', 'keep-alive'],
      ['Connection', 'Transfer-Encoding, Content-Length'],
      ['Connection', 'close'],
    ],
    ...[
      ['X-Probe', 'a'],
      ['X-Probe', 'a\rb'],
      ['Upgrade', 'h2c'],
      ['Expect', '100-continue'],
      ['Te', 'chunked'],
    ],
  )
  .map(([name, value]): [string, (bytes: number) => string] => [name!, () => value!]);

const field = fc.tuple(fc.oneof(lengthField, codingField, otherField), separator, lineEnd);

/** How a body stands on the wire. */
type Coding = (body: string) => string;
const size = usually(
  (bytes: number) => bytes.toString(16),
  (bytes) => `0${bytes.toString(16)}`,
  (bytes) => (bytes + 1).toString(16),
  (bytes) => `0x${bytes.toString(16)}`,
  (bytes) => `${bytes.toString(16)} `,
  (bytes) => ` ${bytes.toString(16)}`,
  (bytes) => `1${bytes.toString(16).padStart(16, '0')}`,
  (bytes) => `-${bytes.toString(16)}`,
);
const extension = usually('', ';a=b', ';a="\n"', ' ;a', ';', ' a', ';\r');
const ending = usually(
  '0\r\n\r\n',
  '0\r\n',
  '00\r\n\r\n',
  '0\n\n',
  '0;a\r\n\r\n',
  '0\r\nX-Probe: t\r\n\r\n',
  '0\r\nContent-Length: 40\r\n\r\n',
  '',
);
const inChunks = fc.record({ size, extension, first: lineEnd, last: lineEnd, ending }).map(
  (chunk): Coding =>
    (body) =>
      `${chunk.size(body.length)}${chunk.extension}${chunk.first}${body}${chunk.last}${chunk.ending}`,
);
const coding = fc.oneof(
  fc.constant<Coding>((body) => body),
  inChunks,
);

/** One byte more, or another instead of one. */
const slip = fc.option(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    char: fc.constantFrom(...'\r\n\0\t\x0b\x7f :,;03x'),
    replaces: fc.boolean(),
  }),
  { freq: 2 },
);

export const tampered: fc.Arbitrary<Template> = fc
  .record({
    start: fc.tuple(method, version).map(([name, protocol]) => `${name} /m ${protocol}\r\n`),
    fields: fc.array(field, { minLength: 1, maxLength: 4 }),
    coding,
    hides: fc.boolean(),
    slip,
  })
  .map(({ start, fields, coding: code, hides, slip: one }) => {
    const template = (host: string): string => {
      const body = code(hides ? smuggled(host) : 'abc');
      const lines = fields.map(([[name, value], colon, end]) => `${name}${colon}${value(body.length)}${end}`);
      return `${start}Host: ${host}\r\n${slipped(`${lines.join('')}\r\n${body}`, one)}`;
    };
    // What a failure shows.
    return Object.assign(template, { [fc.toStringMethod]: () => JSON.stringify(template('HOST')) });
  });

interface Slip {
  readonly at: number;
  readonly char: string;
  readonly replaces: boolean;
}

function slipped(text: string, one: Slip | null): string {
  if (one === null) return text;
  const at = Math.floor(one.at * text.length);
  return text.slice(0, at) + one.char + text.slice(at + (one.replaces ? 1 : 0));
}
