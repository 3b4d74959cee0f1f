/** Text from elsewhere is shown and not obeyed, whatever it holds. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { printable, printableLines } from '#anyhop/core/printable.js';

/** What a terminal obeys, or shows as nothing. */
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('\x1b', '[', '2', 'J', '\x9b', '\n', '\t', '\r', '\x7f', '\u202e', '\ud800', 'a'),
  }),
);

describe('a value from elsewhere', () => {
  test('loses what a terminal would obey, and is one line of no more than so many characters', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 3, max: 40 }), (text, charsMax) => {
        const shown = printable(text, charsMax);
        assert.doesNotMatch(shown, OBEYED);
        assert.ok(shown.length <= charsMax * 6, 'six characters for one at most');
        if (text.length <= charsMax && !OBEYED.test(text)) assert.equal(shown, text);
      }),
    );
  });

  test('has the numbers of what is not seen', () => {
    assert.equal(
      printable('a\x1b[2Jb\x9bc\n\r\td\x7f\u202ee\u{e0041}'),
      'a\\u001b[2Jb\\u009bc\\n\\r\\td\\u007f\\u202ee\\udb40\\udc41',
    );
    assert.equal(printable('übergröße 負荷 🚦'), 'übergröße 負荷 🚦');
    assert.equal(printable('x'.repeat(1_000_000)), `${'x'.repeat(253)}...`);
  });
});

describe('text on its way out', () => {
  test('keeps its lines and columns alone', () => {
    assert.equal(printableLines('a\tb\nc\x1b]0;title\x07\r\n'), 'a\tb\nc\\u001b]0;title\\u0007\\r\n');
    fc.assert(
      fc.property(anyText, (text) =>
        assert.doesNotMatch(printableLines(text).replace(/[\n\t]/g, ''), OBEYED),
      ),
    );
  });

  test('is the same JSON when it is JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), fc.constantFrom(undefined, 2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        assert.deepEqual(JSON.parse(printableLines(text)), JSON.parse(text));
      }),
    );
  });
});

describe('the log', () => {
  const HOSTILE = 'x\x1b[2Jy\x9b1mz\u202e';
  const logged = (terminal: boolean): string => {
    const script = `
      import { createLog } from '#anyhop/core/log.js';
      const hostile = ${JSON.stringify(HOSTILE)};
      createLog('info', ${terminal}).warn({ event: 'test', why: hostile, list: [{ [hostile]: hostile }] }, hostile);`;
    const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    return stderr;
  };

  test('holds values as they are, in JSON that a terminal can show', () => {
    const text = logged(false);
    assert.doesNotMatch(text.trimEnd(), OBEYED);
    const { msg, why } = JSON.parse(text);
    assert.deepEqual([msg, why], [HOSTILE, HOSTILE]);
  });

  test('shows them on a terminal, which obeys nothing but the colours of the log itself', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    const text = logged(true).replace(/\x1b\[\d+m/g, '');
    assert.doesNotMatch(text.replaceAll('\n', ''), OBEYED);
    assert.match(text, /x\\u001b\[2Jy\\u009b1mz\\u202e/);
  });
});
