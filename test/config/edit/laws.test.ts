/** Laws of edits, over configs in every style and random edits: the values are as wanted, and whatever was not edited stays. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parse } from 'yaml';
import { editedText } from '#anyhop/config/edit/edit.js';
import type { BackendEdit, BackendFields, NewBackend } from '#anyhop/config/edit/wanted.js';

const FILE = 'fleet.yaml';
const NAMES = ['web-1', '10', 'no', 'web.example', 'a'] as const;

type Entry = { name: string; address: string; weight?: number; state?: string };
interface Written {
  readonly pools: Record<string, { backends: Entry[] }>;
  readonly text: string;
}

const entry = fc.record(
  {
    name: fc.constantFrom(...NAMES),
    address: fc.constantFrom('10.1.0.11', 'fd00::1', '::1', 'fd00::'),
    weight: fc.constantFrom(0, 1, 7),
    state: fc.constantFrom('active', 'draining'),
  },
  { requiredKeys: ['name', 'address'], noNullPrototype: true },
);
const entries = fc.uniqueArray(entry, { selector: ({ name }) => name, minLength: 1, maxLength: 4 });
const listStyle = fc.constantFrom('block', 'flow', 'flow lines', 'flow lines,');
const entryStyle = fc.constantFrom('block', '{a: b}', '{ a: b }', '{"a":"b"}', 'lines');
const chance = fc.boolean();

const pool = fc
  .tuple(
    entries,
    listStyle,
    fc.array(entryStyle, { minLength: 4, maxLength: 4 }),
    fc.array(chance, { minLength: 60, maxLength: 60 }),
    fc.constantFrom('-', '-  '),
  )
  .map(([backends, list, styles, chances, dash]) => {
    let at = 0;
    const next = (): boolean => chances[at++]!;
    return {
      backends,
      lines: listLines(
        list,
        backends.map((one, i) => entryLines(one, styles[i]!, list, next)),
        dash,
        next,
      ),
    };
  });

const config: fc.Arbitrary<Written> = fc
  .tuple(
    fc.record({ web: pool, dns: pool }),
    fc.constantFrom('\n', '\r\n'),
    chance,
    fc.constantFrom('', '# a comment\n'),
  )
  .map(([pools, eol, isEnded, head]) => {
    const lines = Object.entries(pools).flatMap(([name, { lines }]) => [`  ${name}:`, ...lines]);
    const text = [`${head}pools: # all`, ...lines].join('\n') + (isEnded ? '\n' : '');
    const values = Object.fromEntries(
      Object.entries(pools).map(([name, { backends }]) => [name, { backends }]),
    );
    return { pools: values, text: text.replaceAll('\n', eol) };
  });

function scalar(value: string | number, isQuoted: boolean): string {
  if (typeof value === 'number') return String(value);
  return isQuoted || value.includes(':') || parse(value) !== value ? JSON.stringify(value) : value;
}

/** Of one entry, with comments where there may be some. */
function entryLines(one: Entry, style: string, list: string, next: () => boolean): string[] {
  const isJson = style === '{"a":"b"}';
  const fields = Object.entries(one).map(
    ([key, value]) => `${isJson ? `"${key}":` : `${key}: `}${scalar(value, isJson || next())}`,
  );
  if (style === 'block' && list === 'block') {
    return fields.flatMap((field) => [
      ...(next() ? [field] : [`${field} # of ${field}`]),
      ...(next() ? [] : ['# between fields']),
    ]);
  }
  if (style === 'lines' && list !== 'flow')
    return ['{', ...fields.map((field) => `  ${field}, # of a field`), '}'];
  const space = style === '{ a: b }' ? ' ' : '';
  return [`{${space}${fields.join(isJson ? ',' : ', ')}${space}}`];
}

function listLines(style: string, all: string[][], dash: string, next: () => boolean): string[] {
  if (style === 'flow') return [`    backends: [${all.map(([line]) => line).join(', ')}] # one line`];
  const comment = (): string[] => (next() ? [] : ['      # between entries']);
  const tail = (): string => (next() ? '' : ' # of an entry');
  if (style === 'block') {
    const lines = all.flatMap((one) => {
      const isBlock = !one[0]!.startsWith('{');
      const body = one.map((line, i) => `      ${i === 0 ? dash : ' '.repeat(dash.length)} ${line}`);
      return [...body.slice(0, -1), `${body.at(-1)}${isBlock ? '' : tail()}`, ...comment()];
    });
    return ['    backends:', ...lines];
  }
  const lines = all.flatMap((one, i) => {
    const comma = i < all.length - 1 || style.endsWith(',') ? ',' : '';
    const body = one.map((line) => `      ${line}`);
    return [...body.slice(0, -1), `${body.at(-1)}${comma}${tail()}`, ...comment()];
  });
  return ['    backends: [', ...lines, '    ]'];
}

const fields: fc.Arbitrary<BackendFields> = fc.oneof(
  fc.record({ state: fc.constantFrom('active', 'draining') }),
  fc.record({ weight: fc.constantFrom(0, 1, 5) }),
);
const added: fc.Arbitrary<NewBackend> = fc.record(
  {
    name: fc.constantFrom('new', '1e3', 'true'),
    address: fc.constantFrom('10.1.0.99', 'fd00::', '::9'),
    weight: fc.constantFrom(0, 3),
    id: fc.constant(77),
    agent: fc.constant(false as const),
  },
  { requiredKeys: ['name', 'address'], noNullPrototype: true },
);

function poolsOf(text: string): unknown {
  return parse(text).pools;
}

/** Lines that are comments alone, and those that no entry is on. */
function commentsOf(text: string): string[] {
  return text
    .split(/\r?\n/)
    .filter((line) => /^\s*#/.test(line) && !line.includes('between fields'))
    .map((line) => line.trim());
}

function check(property: Parameters<typeof fc.assert>[0]): void {
  const seed = Number(process.env['ANYHOP_SEED']) || Date.now();
  fc.assert(property, { seed, numRuns: 120 });
}

describe('edits of configs in any style', () => {
  it('set a field in every pool that has the backend, once, and move nothing', () => {
    check(
      fc.property(config, fc.constantFrom(...NAMES), fields, ({ pools, text }, backend, wanted) => {
        const has = Object.values(pools).some(({ backends }) =>
          backends.some(({ name }) => name === backend),
        );
        const edit: BackendEdit = { kind: 'set', backend, fields: wanted };
        if (!has) return void assert.throws(() => editedText(text, FILE, edit), /no pool has/);
        const after = editedText(text, FILE, edit);
        const otherwise = { state: 'active', weight: 1 };
        const expected = structuredClone(pools);
        for (const { backends } of Object.values(expected))
          for (const one of backends)
            if (one.name === backend) {
              const isSame = Object.entries(wanted).every(
                ([key, value]) => ({ ...otherwise, ...one })[key as 'state'] === value,
              );
              if (!isSame) Object.assign(one, wanted);
            }
        assert.deepEqual(poolsOf(after), expected);
        assert.deepEqual(commentsOf(after), commentsOf(text));
        assert.equal(editedText(after, FILE, edit), after);
      }),
    );
  });

  it('add an entry by inserting text, and take it out again without a trace', () => {
    check(
      fc.property(config, fc.constantFrom('web', 'dns'), added, ({ pools, text }, pool, entry) => {
        const after = editedText(text, FILE, { kind: 'add', pool, entry });
        const expected = structuredClone(pools);
        expected[pool]!.backends.push(entry as Entry);
        assert.deepEqual(poolsOf(after), expected);
        assert.equal(editedText(after, FILE, { kind: 'add', pool, entry }), after);
        assert.equal(editedText(after, FILE, { kind: 'remove', backend: entry.name }), text);
      }),
    );
  });

  it('remove an entry, and no comment that is not its own', () => {
    check(
      fc.property(config, fc.constantFrom('web', 'dns'), fc.nat(), ({ pools, text }, pool, number) => {
        const { backends } = pools[pool]!;
        const { name } = backends[number % backends.length]!;
        const edit: BackendEdit = { kind: 'remove', backend: name, pool };
        if (backends.length === 1)
          return void assert.throws(() => editedText(text, FILE, edit), /no other backend/);
        const after = editedText(text, FILE, edit);
        const expected = structuredClone(pools);
        expected[pool]!.backends = backends.filter((one) => one.name !== name);
        assert.deepEqual(poolsOf(after), expected);
        assert.deepEqual(commentsOf(after), commentsOf(text));
      }),
    );
  });
});
