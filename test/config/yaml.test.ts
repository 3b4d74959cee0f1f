/** What YAML allows and a config file had better not: each ends in a located ConfigError, or is read as it looks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { join, NODE, POOLS, parse, placeOf, problemsOf, SERVICES, unmark } from './fixture.js';

/** The first problem's place is the mark's, and its message matches. */
function expectProblem(marked: string, message: RegExp): void {
  const { text, places } = unmark(marked);
  const problems = problemsOf(text);
  assert.ok(problems.length > 0, 'was read');
  const lines = problems
    .map((problem) => `${placeOf(problem)} ${problem.field}: ${problem.message}`)
    .join('\n');
  assert.deepEqual([...new Set(problems.map(placeOf))], places, lines);
  assert.ok(
    problems.some((problem) => message.test(problem.message)),
    lines,
  );
}

describe('a file that is not YAML', () => {
  const CASES: Record<string, readonly [marked: string, message: RegExp]> = {
    'a tab in the indentation': [join({ pools: 'pools:\n^\tweb:\n' }), /a tab in the indentation/],
    'an open bracket': [`${NODE}${POOLS}services: [{name: web^\n`, /not closed|missing here/],
    'an open quote': [`${NODE}${POOLS}services:\n  - {name: "web^`, /a closing quote/],
    'a second document': [`${join({})}^---\n${join({})}`, /a second YAML document/],
    'junk behind the end of the document': [`${join({})}...\n^junk\n`, /a second YAML document/],
    'text that begins with a reserved character': ['node:\n  name: ^@home\n', /that YAML reserves/],
    'a colon within plain text': ['node:\n  name: ^a: b\n', /a mapping after a single value/],
    'an unknown escape': ['node:\n  name: "^\\q"\n', /unknown escape/],
    'a key that is a list': ['^? [a]\n: b\n', /found a key that is a list/],
    'a directive for YAML 1.1': [`^%YAML 1.1\n---\n${join({})}`, /found YAML 1\.1; expected YAML 1\.2/],
  };
  for (const [title, [marked, message]] of Object.entries(CASES)) {
    it(`is refused for ${title}`, () => {
      const { text, places } = unmark(marked);
      const [problem] = problemsOf(text);
      assert.ok(problem !== undefined, 'was read');
      assert.match(problem.message, message);
      // An opening that is never closed shows at the end, where exactly is the parser's business.
      if (!title.startsWith('an open') && !title.startsWith('a key'))
        assert.equal(placeOf(problem), places[0]);
    });
  }

  it('is refused for lists nested without end, whatever the depth', () => {
    for (const opening of ['[', '{a: ', '- ', '? ']) {
      const problems = problemsOf(opening.repeat(20_000));
      assert.equal(problems.length, 1);
      assert.match(problems[0].message, /nested too deeply/);
    }
  });
});

describe('a file of odd YAML', () => {
  it('is refused when it is empty, or holds comments alone', () => {
    for (const text of ['', '\n', '# nothing\n', '---\n', '~', 'null\n']) {
      assert.match(
        problemsOf(text)[0].message,
        /^found an empty file; expected a mapping with node, pools and services/,
      );
    }
  });

  it('is refused when it is a single word or a list', () => {
    expectProblem('^anyhop\n', /^found "anyhop"; expected a mapping/);
    expectProblem('^- node\n', /^found a list; expected a mapping/);
  });

  it('is refused for a key given twice, at the second one', () => {
    expectProblem(join({ node: `${NODE}  ^name: edge-2\n` }), /^found a second time in the same mapping/);
    expectProblem(join({ services: `${SERVICES}^services: []\n` }), /^found a second time/);
  });

  it('is refused for the key __proto__, wherever it stands', () => {
    expectProblem(join({ pools: `${POOLS}  ^__proto__: {}\n` }), /^this key cannot be used/);
    expectProblem(join({ node: `${NODE}  ^__proto__: {name: x}\n` }), /^this key cannot be used/);
  });

  it('is refused for tags', () => {
    for (const tag of ['!!binary', '!mine', '!!set', '!!timestamp']) {
      const { text, places } = unmark(join({ services: SERVICES.replace('tcp', `^${tag} tcp`) }));
      const problem = problemsOf(text).find(({ message }) => message.includes('tag'));
      assert.ok(problem, tag);
      assert.equal(problem.line, Number(places[0].split(':')[0]));
    }
  });

  it('is refused for merge keys, which YAML 1.2 does not have', () => {
    expectProblem(join({ node: `${NODE}  ^<<: {engine: auto}\n` }), /^found the merge key <</);
  });

  it('is refused for an alias without an anchor', () => {
    expectProblem(
      join({ services: SERVICES.replace('tcp', '^*proto') }),
      /^found the alias \*proto; no anchor/,
    );
  });

  it('is refused for an alias that holds itself', () => {
    assert.match(
      problemsOf('pools: &p\n  web: *p\n')
        .map(({ message }) => message)
        .join(),
      /expand to too much/,
    );
    assert.match(
      problemsOf('services: &s [*s]\n')
        .map(({ message }) => message)
        .join(),
      /expand to too much/,
    );
  });

  it('is refused, and soon, for aliases that unfold by powers', () => {
    let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
    for (let i = 1; i < 12; i++) text += `a${i}: &a${i} [${Array(10).fill(`*a${i - 1}`)}]\n`;
    const before = process.cpuUsage();
    assert.ok(problemsOf(text).some(({ message }) => message.includes('aliases expand to too much')));
    assert.ok(process.cpuUsage(before).user < 20_000_000);
  });

  it('is refused for control characters', () => {
    expectProblem(join({ services: SERVICES.replace('tcp', 't^\0cp') }), /U\+0000/);
    expectProblem(`node:\n  ^\x1b[31m\n`, /U\+001B/);
  });

  it('is read with a byte order mark, Windows line ends, comments, or as JSON', () => {
    const plain = parse(join({}));
    for (const text of [
      `\ufeff${join({})}`,
      join({}).replaceAll('\n', '\r\n'),
      `# x\n---\n${join({})}...\n`,
    ]) {
      assert.deepEqual(parse(text).pools, plain.pools);
      assert.deepEqual(parse(text).services, plain.services);
    }
    const json = {
      node: { name: 'n', interface: 'eth0', source: '10.0.0.1', key: '00'.repeat(16) },
      pools: { web: { backends: [{ name: 'a', address: '10.1.0.1' }] } },
      services: [{ name: 's', vip: '198.51.100.1', protocol: 'tcp', port: 80, pool: 'web' }],
    };
    assert.equal(parse(JSON.stringify(json)).services[0].portFirst, 80);
  });

  it('keeps lines and columns exact behind a byte order mark and Windows line ends', () => {
    const { text, places } = unmark(join({ node: NODE.replace('name: edge-1', '^nmae: edge-1') }));
    for (const variant of [`\ufeff${text}`, text.replaceAll('\n', '\r\n')]) {
      assert.deepEqual(problemsOf(variant).map(placeOf), places);
    }
  });

  it('is read with aliases, and an error in what they stand for points there', () => {
    const pools = POOLS.replace('web:\n    backends:', 'web:\n    prior: *members\n    backends:');
    const anchored = POOLS.replace('web:\n    backends:', 'web:\n    backends: &members').replace(
      '  dns:',
      '    prior: *members\n  dns:',
    );
    assert.equal(parse(join({ pools: anchored })).pools[0].prior?.length, 2);
    assert.match(problemsOf(join({ pools }))[0].message, /no anchor of this name stands before it/);
    expectProblem(join({ pools: anchored.replace('10.1.0.12', '^10.1.0.333') }), /^found "10\.1\.0\.333"/);
  });

  it('takes on and off, numbers and null for the text that they are where names stand as keys', () => {
    const pools = POOLS.replace('dns:', 'on:').replace('web:', '123:');
    const services = SERVICES.replace('pool: dns', 'pool: on').replace('pool: web', 'pool: "123"');
    assert.deepEqual(
      parse(join({ pools, services }))
        .pools.map(({ name }) => name)
        .sort(),
      ['123', 'on'],
    );
  });
});
