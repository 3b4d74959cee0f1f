/** List files: what is read of them, and what is said of lines that are wrong. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseList } from '#anyhop/lists/parse.js';
import { addressFromBytes, parsePrefix } from '#anyhop/packet/address.js';

const bytes = (text: string): Uint8Array => Buffer.from(text);

/** As texts, IPv4 first. */
function prefixesOf(text: string): string[] {
  const { prefixes, problems } = parseList(bytes(text));
  assert.deepEqual(problems, []);
  const { words4, lengths4, words6, lengths6 } = prefixes;
  const textOf = (words: Uint32Array, length: number): string => {
    const address = Buffer.alloc(words.length * 4);
    for (const [i, word] of words.entries()) address.writeUInt32BE(word, i * 4);
    return `${addressFromBytes(address).text}/${length}`;
  };
  return [
    ...Array.from(lengths4, (length, i) => textOf(words4.slice(i, i + 1), length)),
    ...Array.from(lengths6, (length, i) => textOf(words6.slice(i * 4, i * 4 + 4), length)),
  ];
}

const problemsOf = (text: string): string[] =>
  parseList(bytes(text)).problems.map(({ line, text: why }) => `${line}: ${why}`);

describe('a list file', () => {
  it('that is none is not read to its end', () => {
    const { problems, problemCount } = parseList(bytes('evil\n'.repeat(1_000_000)));
    assert.deepEqual([problems.length, problemCount], [20, 1000]);
  });

  it('has a prefix or an address a line, comments, empty lines, a byte order mark, and line ends of Windows', () => {
    const text =
      '\ufeff# bad networks\r\n192.0.2.0/24\r\n\r\n  2001:db8::/32\t# doc\n198.51.100.7 ; SBL1\n::1\n;';
    assert.deepEqual(prefixesOf(text), ['192.0.2.0/24', '198.51.100.7/32', '2001:db8::/32', '::1/128']);
    assert.deepEqual(prefixesOf(''), []);
    assert.deepEqual(prefixesOf('0.0.0.0/0\n::/0'), ['0.0.0.0/0', '::/0']);
  });

  it('is read as addresses are read elsewhere, however they are written', () => {
    const group = fc.integer({ min: 0, max: 0xffff }).map((n) => n.toString(16));
    const six = fc.array(fc.oneof(group, fc.constantFrom('', '0', '00ab', 'ABCD', '12345', 'g')), {
      minLength: 1,
      maxLength: 9,
    });
    const four = fc.array(
      fc.oneof(fc.integer({ min: 0, max: 260 }).map(String), fc.constantFrom('', '01', 'a')),
      { minLength: 3, maxLength: 5 },
    );
    const word = fc
      .tuple(
        fc.oneof(
          six.map((parts) => parts.join(':')),
          six.map((parts) => parts.join('::')),
          fc.tuple(six, six).map(([a, b]) => `${a.slice(0, 4).join(':')}::${b.slice(0, 3).join(':')}`),
          four.map((parts) => parts.join('.')),
          four.map((parts) => `::ffff:${parts.join('.')}`),
        ),
        fc.oneof(
          fc.constantFrom('', '', '/0', '/', '/8', '/24', '/129', '/032', '/1x', '/-1'),
          fc.integer({ min: 0, max: 128 }).map((n) => `/${n}`),
        ),
      )
      .map(([address, length]) => address + length)
      .filter((text) => text !== '');
    fc.assert(
      fc.property(word, (text) => {
        const expected = parsePrefix(text);
        const { prefixes, problemCount } = parseList(bytes(text));
        assert.equal(problemCount, expected === undefined ? 1 : 0, text);
        if (expected !== undefined) assert.deepEqual(prefixesOf(text), [expected.text], text);
        assert.equal(prefixes.lengths4.length + prefixes.lengths6.length, expected === undefined ? 0 : 1);
      }),
      { numRuns: 3000 },
    );
  });

  it('is told where it is wrong, how, and what was expected', () => {
    assert.deepEqual(
      problemsOf(
        '192.0.2.0/24\n192.0.2.9/24\n2001:db8::1/32\nexample.net\n10.0.0.0/33\n10.0.0.0/8 11.0.0.0/8',
      ),
      [
        '2: found "192.0.2.9/24"; expected the first address of the prefix: 192.0.2.0/24',
        '3: found "2001:db8::1/32"; expected the first address of the prefix: 2001:db8::/32',
        '4: found "example.net"; expected a prefix or an address: 192.0.2.0/24, 2001:db8::/32, 192.0.2.7',
        '5: found "10.0.0.0/33"; expected a length of 32 at most',
        '6: found "11.0.0.0/8" behind "10.0.0.0/8"; expected one prefix a line, and comments behind #',
      ],
    );
  });

  it('that is wrong everywhere is told of twenty lines and of how many there are', () => {
    const { problems, problemCount } = parseList(bytes('x\n'.repeat(1000)));
    assert.equal(problems.length, 20);
    assert.equal(problemCount, 1000);
  });

  it('is shown safely, whatever its bytes are', () => {
    assert.deepEqual(problemsOf('\u001b[2J\u0000'), [
      '1: found "\\u001b[2J\\u0000"; expected a prefix or an address: 192.0.2.0/24, 2001:db8::/32, 192.0.2.7',
    ]);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (any) => {
        for (const { text } of parseList(any).problems) assert.doesNotMatch(text, /\p{Cc}/u);
      }),
    );
    assert.ok(problemsOf('y'.repeat(100_000))[0].length < 200);
  });

  it('has no more prefixes than there may be', () => {
    assert.deepEqual(parseList(bytes('10.0.0.1\n10.0.0.2\n10.0.0.3\n10.0.0.4\n'), 2).problems, [
      { line: 3, text: 'found more than 2 prefixes; expected 2 at most' },
    ]);
  });
});
