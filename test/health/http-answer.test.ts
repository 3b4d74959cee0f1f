/** How answers to HTTP checks are read: whatever the pieces, to the same end, and at a cost that no backend can raise. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HEALTH_ANSWER_READS_MAX, HEALTH_BODY_BYTES_MAX } from '#anyhop/core/limits.js';
import { HttpAnswer } from '#anyhop/health/http-answer.js';

const STATUS = { first: 200, last: 399 };
/** What it costs takes some 10 ms; that much, even on a busy machine, is a fault of another order. */
const CPU_MS_MAX = 2_000;

/** Reads pieces until there is a verdict, and the connection's end if there is none. @returns `up`, or why not */
function read(pieces: Iterable<Buffer>, body?: string): string {
  const answer = new HttpAnswer({ status: STATUS, body });
  for (const piece of pieces) {
    const verdict = answer.add(piece);
    if (verdict !== undefined) return verdict.failure ?? 'up';
  }
  const verdict = answer.end();
  assert.ok(verdict !== undefined, 'the end of the connection is the end of the check');
  return verdict.failure ?? 'up';
}

function cpuMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((each) => each % (bytes.length + 1))), bytes.length].sort(
    (a, b) => a - b,
  );
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

const lineEnd = fc.constantFrom('\r\n', '\n');
const fold = fc.constantFrom(' ', '\r\n ', '\n\t');

describe('an answer to an HTTP check', () => {
  it('is judged alike in whatever pieces it comes, by length, by chunks or to the end of the connection', () => {
    const plan = fc.record({
      status: fc.constantFrom(200, 204, 302, 404, 503),
      end: lineEnd,
      fold,
      others: fc.array(fc.stringMatching(/^[A-Za-z-]{1,8}: [ -~]{0,30}$/), { maxLength: 4 }),
      body: fc.stringMatching(/^[ab]{0,40}$/),
      expected: fc.option(fc.stringMatching(/^[ab]{1,4}$/), { nil: undefined }),
      framing: fc.constantFrom('length', 'twice', 'chunked', 'close'),
      chunkBytes: fc.integer({ min: 1, max: 12 }),
      // Without a letter of the body.
      extension: fc.constantFrom('', ';n=v', ' '),
      isCutShort: fc.boolean(),
      places: fc.array(fc.nat(), { maxLength: 20 }),
    });
    fc.assert(
      fc.property(plan, (of) => {
        const chunks = of.body.match(new RegExp(`.{1,${of.chunkBytes}}`, 'g')) ?? [];
        const length = `Content-Length:${of.fold}${of.body.length}`;
        const framing = {
          length: [length],
          twice: [length, `content-length: ${of.body.length}`],
          chunked: [`Transfer-Encoding:${of.fold}chunked`],
          close: [],
        }[of.framing];
        const line = (text: string): string => `${text}${of.end}`;
        const body =
          of.framing === 'chunked'
            ? [...chunks, '']
                .map((each) => line(`${each.length.toString(16)}${of.extension}`) + line(each))
                .join('')
            : of.body;
        // Headers that are meant by chance would be another answer.
        const others = of.others.filter((each) => !/^(content-length|transfer-encoding):/i.test(each));
        const head =
          line(`HTTP/1.1 ${of.status} Words`) + [...others, ...framing].map(line).join('') + of.end;
        const whole = `${head}${body}`;
        const isCutShort = of.isCutShort && of.body.length > 0 && of.framing !== 'close' && of.status !== 204;
        // Without the last byte of the body; of chunks, within the last one.
        const bytes = Buffer.from(
          isCutShort ? `${head}${body.slice(0, body.lastIndexOf(of.body.at(-1)!))}` : whole,
        );
        const sent = isCutShort ? of.body.slice(0, -1) : of.body;
        const wanted = of.expected;
        const expected =
          of.status >= 400
            ? `HTTP status ${of.status}; expected 200-399`
            : wanted === undefined || (of.status !== 204 && sent.includes(wanted))
              ? 'up'
              : isCutShort
                ? 'the connection ended within the body'
                : `the body does not hold "${wanted}"`;
        assert.equal(read(cut(bytes, of.places), wanted), expected);
      }),
    );
  });

  it('of which every byte is a chunk of its own is searched once a read', () => {
    const body = 'x'.repeat(HEALTH_BODY_BYTES_MAX - 3);
    const chunks = [...body, ...'end'].map((byte) => `1\r\n${byte}\r\n`).join('');
    const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`);
    const pieces = cut(
      bytes,
      Array.from({ length: 400 }, (_, i) => i * 1000),
    );
    const took = cpuMs(() => {
      assert.equal(read(pieces, 'end'), 'up');
      assert.equal(read(pieces, 'END'), 'the body does not hold "END"');
    });
    assert.ok(took < CPU_MS_MAX, `${took} ms`);
  });

  it('that comes byte after byte is given up after so many reads, in head and body', () => {
    const bytesOf = function* (text: string): Iterable<Buffer> {
      for (let i = 0; ; i++) yield Buffer.from(text[i] ?? 'x');
    };
    const tooMany = `no end of the answer within ${HEALTH_ANSWER_READS_MAX} reads`;
    const took = cpuMs(() => {
      assert.equal(read(bytesOf('HTTP/1.1 200 OK\r\nX: ')), tooMany);
      assert.equal(read(bytesOf('HTTP/1.1 200 OK\r\n\r\n'), 'X'.repeat(1024)), tooMany);
    });
    assert.ok(took < CPU_MS_MAX, `${took} ms`);
  });

  it('that has no end is given up after so many bytes: headers, chunk extensions, answers before the answer', () => {
    const repeat = function* (start: string, text: string): Iterable<Buffer> {
      yield Buffer.from(start);
      for (;;) yield Buffer.from(text.repeat(Math.ceil(16_384 / text.length)));
    };
    const ok = 'HTTP/1.1 200 OK\r\n';
    const took = cpuMs(() => {
      assert.equal(read(repeat(ok, 'X: y\r\n'), 'z'), 'the headers are longer than 128 KiB');
      assert.equal(read(repeat('', 'HTTP/1.1 102 Wait\r\n\r\n')), 'no end of the answer within 1024 KiB');
      const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n1;`;
      assert.equal(read(repeat(chunked, 'extension'), 'z'), 'no end of the answer within 1024 KiB');
      assert.match(read(repeat('', 'x')), /^the answer is not HTTP: "xxx/);
    });
    assert.ok(took < CPU_MS_MAX, `${took} ms`);
  });

  it('with a broken chunk fails, and says so', () => {
    const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n';
    for (const body of ['x\r\n', '\r\n', '1\r\nab\r\n', '-1\r\n'])
      assert.equal(read([Buffer.from(`${chunked}${body}`)], 'z'), 'a chunk of the body has no size', body);
    const long = `${chunked}${'f'.repeat(100)}\r\nz`;
    assert.equal(read([Buffer.from(long)], 'z'), 'up');
  });
});
