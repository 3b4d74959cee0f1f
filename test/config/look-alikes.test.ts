/** Characters that look like YAML and are none, and what older YAML had: the error names the cause at its place. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { join, NODE, POOLS, parse, placeOf, problemsOf, SERVICES, unmark } from './fixture.js';

/** Exactly one problem, at the mark. */
function expectCause(marked: string, message: RegExp): void {
  const { text, places } = unmark(marked);
  const problems = problemsOf(text);
  const lines = problems.map((each) => `${placeOf(each)} ${each.field}: ${each.message}`).join('\n');
  assert.deepEqual(problems.map(placeOf), places, lines);
  assert.match(problems[0].message, message);
}

describe('a character that only looks like YAML is named where it stands', () => {
  const GOOD = 'node:\n  name: edge-1\n  source: 10.0.0.1\n';
  const CASES: Record<string, readonly [marked: string, message: RegExp]> = {
    'a no-break space that indents a key': [
      GOOD.replace('  name', '^\u00a0\u00a0name'),
      /^found U\+00A0 \(no-break space\) in the indentation; .*plain space/,
    ],
    'a no-break space among spaces': [
      GOOD.replace('  source', ' ^\u00a0source'),
      /U\+00A0 .*in the indentation/,
    ],
    'a no-break space behind a colon': [GOOD.replace('name: ', 'name:^\u00a0'), /^found U\+00A0/],
    'a no-break space behind the dash of a list': [
      `${NODE}${POOLS}services:\n  -^\u00a0{name: web}\n`,
      /^found U\+00A0/,
    ],
    'a no-break space within brackets': [
      `${NODE}${POOLS}services: [{name: web,^\u00a0vip: 10.0.0.1}]\n`,
      /^found U\+00A0/,
    ],
    'a no-break space behind a value': [GOOD.replace('edge-1', 'edge-1^\u00a0'), /^found U\+00A0/],
    'an ideographic space': [
      GOOD.replace('  name', '^\u3000name'),
      /U\+3000 \(ideographic space\) in the indentation/,
    ],
    'a thin space': [GOOD.replace('  name', '^\u2009name'), /U\+2009 \(another kind of space\)/],
    'a zero-width space in a key': [
      GOOD.replace('name:', 'na^\u200bme:'),
      /U\+200B \(zero-width space\); delete it/,
    ],
    'a byte order mark in the middle': [`${NODE}^\ufeff${POOLS}${SERVICES}`, /U\+FEFF \(byte order mark/],
    'typographic quotes': [GOOD.replace('edge-1', '^\u201cedge-1\u201d'), /U\+201C .*YAML's quotes are/],
    'a typographic quote within brackets': [
      `${NODE}${POOLS}services: [{name: ^\u2018web\u2019}]\n`,
      /U\+2018/,
    ],
    'a dash of typography in a list': [
      `${NODE}${POOLS}services:\n  ^\u2013 {name: web}\n`,
      /U\+2013 \(en dash\).*hyphen/,
    ],
    'a fullwidth colon': [GOOD.replace('name:', 'name^\uff1a'), /U\+FF1A \(fullwidth colon\)/],
    'a line separator': [GOOD.replace('edge-1\n', 'edge-1^\u2028'), /U\+2028 \(line separator\).*line feed/],
    'the line ends of an old Macintosh': [
      GOOD.replace('\n', '^\r').replaceAll('\n', '\r'),
      /U\+000D .*Unix line ends/,
    ],
  };
  for (const [title, [marked, message]] of Object.entries(CASES)) {
    it(title, () => expectCause(marked, message));
  }

  it('wherever in the indentation, and whatever the character', () => {
    const text = join({ node: NODE.replace('node:\n', 'node:\n  # a comment\n') });
    const lines = text.split('\n');
    const spaces = lines.flatMap((line, number) =>
      line.trimStart().startsWith('#')
        ? []
        : [...(/^ */.exec(line)?.[0] ?? '')].map((_, column) => ({ number, column })),
    );
    const character = fc.constantFrom(...'\u00a0\u1680\u2000\u200a\u202f\u205f\u3000\u200b\u2060\ufeff');
    fc.assert(
      fc.property(fc.constantFrom(...spaces), character, ({ number, column }, odd) => {
        const line = `${lines[number].slice(0, column)}${odd}${lines[number].slice(column + 1)}`;
        const problems = problemsOf(lines.with(number, line).join('\n'));
        const code = odd.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
        assert.equal(placeOf(problems[0]), `${number + 1}:${column + 1}`, problems[0].message);
        assert.ok(problems[0].message.startsWith(`found U+${code} `), problems[0].message);
      }),
    );
  });

  it('and is nobody’s business in comments and in quotes', () => {
    const text = join({ node: `# “edge”\u00a0– the first\n${NODE}` });
    assert.equal(parse(text).pools.length, parse(join({})).pools.length);
    // The slip is another one; the comment does not hide it.
    const [problem] = problemsOf(`#\u00a0:\u00a0x\n${NODE}  name: "\u00a0": x\n`);
    assert.doesNotMatch(problem.message, /U\+00A0/);
  });

  it('without much work for a line without end', () => {
    const start = performance.now();
    assert.ok(problemsOf(`a: "${'\\"'.repeat(300_000)}\n`).length > 0);
    assert.ok(problemsOf(`${'\u00a0a: b\n'.repeat(50_000)}`).length > 0);
    assert.ok(performance.now() - start < 20_000);
  });
});

describe('what another YAML allows', () => {
  it('is named: the merge key', () => {
    const message = /^found the merge key <<, which YAML 1\.2 does not have/;
    const shared = '- &first {name: web-1, address: 10.1.0.11}';
    const pool = (member: string): string =>
      join({ pools: `pools:\n  web:\n    backends:\n      ${shared}\n      - ${member}\n` });
    expectCause(pool('{^<<: *first, name: web-2}'), message);
    expectCause(pool('^<<: [*first]\n        name: web-2'), message);
    expectCause(pool('^"<<": *first'), message);
  });

  it('is refused: one anchor for two values', () => {
    const text = join({
      node: NODE.replace('name: ', 'name: &here '),
      services: SERVICES.replace('pool: ', 'pool: ^&here '),
    });
    const marked = text.replace('^&here ', '&here ^');
    expectCause(marked, /^found a second anchor &here \(the first: line 2\); give each its own name/);
  });

  it('is read: one anchor that several aliases name', () => {
    const pools = POOLS.replace('backends:', 'backends: &members').concat(
      '  other:\n    backends: *members\n',
    );
    const services = `${SERVICES}  - {name: o, vip: 203.0.113.99, protocol: tcp, port: 80, pool: other}\n`;
    assert.equal(parse(join({ pools, services })).pools.length, 3);
  });
});
