/** Tokens: what each kind lets through, character by character, and how a line is made of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  cookieName,
  endpoint,
  filePath,
  format,
  headerName,
  hexKey,
  hostAndPort,
  hostName,
  identifier,
  integer,
  ipAddress,
  line,
  list,
  milliseconds,
  requestTarget,
  ruleWord,
  type Token,
  thumbprint,
  words,
} from '#anyhop/l7/render/line.js';
import { wordsOf } from './haproxy-words.js';
import { addressOf } from './render-fixture.js';

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const PRINTABLE = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');

/** ASCII and Latin-1, and some that only look like a letter, a space or the end of a line. */
const CHARACTERS = [
  ...Array.from({ length: 256 }, (_, i) => String.fromCharCode(i)),
  ...['\u0131', '\u017f', '\u212a', '\u2003', '\u2028', '\u2029', '\ufeff', '\uff0f', '\ud800', '\u{1f600}'],
];

/** Characters that a kind allows between two harmless parts. */
const ALLOWED: readonly (readonly [
  name: string,
  make: (value: string) => Token,
  before: string,
  after: string,
  characters: string,
])[] = [
  ['identifier', identifier, 'a', 'a', `${LETTERS}._-`],
  ['headerName', headerName, 'a', 'a', `${LETTERS}_-`],
  ['cookieName', cookieName, 'a', 'a', `${LETTERS}_-`],
  ['hostName', hostName, 'a', 'a', `${LETTERS}._-`],
  ['hostAndPort', hostAndPort, 'a', '1', `${LETTERS}._-:`],
  ['filePath', filePath, '/a', 'a', `${LETTERS}._/-`],
  ['hexKey', hexKey, '0'.repeat(31), '0'.repeat(32), '0123456789abcdef'],
  ['thumbprint', thumbprint, 'a'.repeat(21), 'a'.repeat(21), `${LETTERS}_-`],
  ['ruleWord', ruleWord, 'a', 'a', `${LETTERS}_.,:()%[]{}!*/+<>=-`],
  ['requestTarget', requestTarget, '/a', 'a', `${LETTERS}/._~!$&*+,;=:@%-?`],
  ['format', format, 'a', 'a', PRINTABLE],
];

function isRefused(make: () => Token): boolean {
  try {
    make();
    return false;
  } catch (error) {
    if (error instanceof RangeError) return true;
    throw error;
  }
}

describe('a token', () => {
  it('holds the characters of its kind and no other, wherever they stand', () => {
    for (const [name, make, before, after, characters] of ALLOWED)
      for (const char of CHARACTERS) {
        const isAllowed = characters.includes(char);
        assert.equal(
          isRefused(() => make(before + char + after)),
          !isAllowed,
          `${name} ${JSON.stringify(char)}`,
        );
        // At the end a pattern may forget a line feed.
        if (!isAllowed)
          assert.ok(
            isRefused(() => make(before + after + char)),
            `${name} at the end`,
          );
        if (!isAllowed)
          assert.ok(
            isRefused(() => make(char + before + after)),
            `${name} at the start`,
          );
      }
  });

  it('is of bounded length, and made of text', () => {
    for (const [name, make, before, after] of ALLOWED) {
      assert.ok(
        isRefused(() => make(before + 'a'.repeat(20_000) + after)),
        name,
      );
      for (const value of ['', undefined, null, 1, {}, ['a'], { toString: () => 'a', length: 1 }])
        assert.ok(
          isRefused(() => make(value as string)),
          `${name} ${JSON.stringify(value)}`,
        );
    }
  });

  it('of a key is not shown when it is wrong', () => {
    assert.throws(
      () => hexKey('c0ffee'),
      (error: Error) => !error.message.includes('c0ffee'),
    );
  });

  it('of a number is a whole number within its range', () => {
    assert.equal(integer(7, 1, 10).text, '7');
    assert.equal(milliseconds(1500).text, '1500ms');
    for (const value of [
      0,
      11,
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      -1,
      '7',
      '7\nx',
      null,
      undefined,
      [7],
    ])
      assert.ok(
        isRefused(() => integer(value as number, 1, 10)),
        JSON.stringify(value),
      );
    for (const value of [-1, 2 ** 31, 0.5]) assert.ok(isRefused(() => milliseconds(value)));
  });

  it('of an address comes from its bytes, whatever its text is', () => {
    assert.equal(endpoint(addressOf('192.0.2.1'), 80).text, '192.0.2.1:80');
    assert.equal(endpoint(addressOf('2001:db8::1'), 80, 90).text, '[2001:db8::1]:80-90');
    const liar = { ...addressOf('192.0.2.1'), text: '*:80\n', family: 6 as const };
    assert.equal(ipAddress(liar).text, '192.0.2.1');
    assert.equal(endpoint(liar, 80).text, '192.0.2.1:80');
    for (const bytes of [new Uint8Array(3), [256, 0, 0], []])
      assert.ok(isRefused(() => ipAddress({ ...liar, bytes: bytes as Uint8Array })));
    for (const [first, last] of [
      [0, 1],
      [1, 0],
      [80, 65_536],
      [1.5, 2],
    ])
      assert.ok(isRefused(() => endpoint(addressOf('192.0.2.1'), first!, last)));
  });

  it('of a header or a path is read back as it was, a percent sign doubled', () => {
    const value = fc.string({ unit: fc.constantFrom(...PRINTABLE), minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(value, (text) => {
        const { text: rendered } = line([])`set ${format(text)} x`;
        assert.deepEqual(wordsOf(rendered), ['set', text.replaceAll('%', '%%'), 'x']);
      }),
    );
    const path = fc.string({ unit: fc.constantFrom(...`${LETTERS}/._~!$&*+,;=:@%-`), maxLength: 40 });
    fc.assert(
      fc.property(path, (text) => {
        assert.deepEqual(wordsOf(line([])`uri ${requestTarget(`/${text}`)} x`.text), [
          'uri',
          `/${text}`,
          'x',
        ]);
      }),
    );
  });
});

describe('a line', () => {
  it('is made of words of the source and of tokens, and of nothing that only looks like one', () => {
    assert.equal(line([])`  a ${identifier('b')}`.text, '  a b');
    assert.equal(words`'\x00\.'`.text, "'\\x00\\.'", 'backslashes stand as in the source');
    assert.equal(list([identifier('a'), identifier('b')], ',').text, 'a,b');
    for (const fake of [
      'b',
      { text: 'b' },
      undefined,
      null,
      Object.create(Object.getPrototypeOf(identifier('b'))),
    ])
      assert.throws(
        () => line([])`a ${fake as Token}`,
        (error) => error instanceof RangeError || error instanceof TypeError,
      );
  });

  it('knows the field that causes it', () => {
    assert.deepEqual(line(['l7', 'frontends', 'web'])`x`.at, ['l7', 'frontends', 'web']);
  });
});
