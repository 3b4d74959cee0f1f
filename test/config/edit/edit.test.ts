/** Edits of backends in config texts: what changes, and that nothing else does. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { editedText } from '#anyhop/config/edit/edit.js';
import type { BackendEdit } from '#anyhop/config/edit/wanted.js';

const FILE = 'fleet.yaml';
const drain: BackendEdit = { kind: 'set', backend: 'web-2', fields: { state: 'draining' } };
const add: BackendEdit = {
  kind: 'add',
  pool: 'web',
  entry: { name: 'web-3', address: 'fd00::3', weight: 2 },
};
const remove: BackendEdit = { kind: 'remove', backend: 'web-2' };

/** By what it is written in; each with what becomes of it. */
const STYLES: Record<
  string,
  { text: string; drained: [string, string]; added: [string, string]; removed: string }
> = {
  'a block list of flow mappings': {
    text: `# all
pools:
  web: # the shop
    backends:
      - {name: web-1, address: 10.1.0.11} # old
      # the new one
      - {name: web-2, address: 10.1.0.12} # rack 2
    # end
services: []
`,
    drained: ['10.1.0.12}', '10.1.0.12, state: draining}'],
    added: ['# rack 2\n', '# rack 2\n      - {name: web-3, address: "fd00::3", weight: 2}\n'],
    removed: '      - {name: web-2, address: 10.1.0.12} # rack 2\n',
  },
  'a block list of block mappings': {
    text: `pools:
  web:
    backends:
    - address: 10.1.0.11
      name: web-1   # old

    - address: 10.1.0.12 # rack 2
      # its name
      name: web-2
    settle_time: 1m
`,
    drained: ['name: web-2\n', 'name: web-2\n      state: draining\n'],
    added: ['name: web-2\n', 'name: web-2\n\n    - address: "fd00::3"\n      name: web-3\n      weight: 2\n'],
    removed: '    - address: 10.1.0.12 # rack 2\n      # its name\n      name: web-2\n',
  },
  JSON: {
    text: `{"pools":{"web":{"backends":[{"name":"web-1","address":"10.1.0.11"},{"name":"web-2","address":"10.1.0.12"}]}}}`,
    drained: ['"10.1.0.12"}', '"10.1.0.12","state":"draining"}'],
    added: ['"10.1.0.12"}', '"10.1.0.12"},{"name":"web-3","address":"fd00::3","weight":2}'],
    removed: ',{"name":"web-2","address":"10.1.0.12"}',
  },
  'a flow list on several lines, with carriage returns and no end': {
    text: `pools:\r
  web:\r
    backends: [\r
      { name: 'web-1', address: 10.1.0.11 },\r
      { name: 'web-2', address: 10.1.0.12 }, # rack 2\r
    ]`,
    drained: ['10.1.0.12 }', '10.1.0.12, state: draining }'],
    added: ['# rack 2\r\n', `# rack 2\r\n      { name: 'web-3', address: "fd00::3", weight: 2 },\r\n`],
    removed: `      { name: 'web-2', address: 10.1.0.12 }, # rack 2\r\n`,
  },
};

describe('an edit of a backend', () => {
  for (const [style, { text, drained, added, removed }] of Object.entries(STYLES)) {
    it(`keeps the rest of ${style}`, () => {
      assert.equal(editedText(text, FILE, drain), text.replace(...drained));
      assert.equal(editedText(text, FILE, add), text.replace(...added));
      assert.equal(editedText(text, FILE, remove), text.replace(removed, ''));
    });
  }

  it('keeps the quotes and the comment of a value that changes', () => {
    const text =
      'pools: {web: {backends: [{name: web-2, address: 10.1.0.12, state: "draining", weight: 3}]}} # x\n';
    const fields = { state: 'active', weight: 1 } as const;
    assert.equal(
      editedText(text, FILE, { kind: 'set', backend: 'web-2', fields }),
      text.replace('"draining", weight: 3', '"active", weight: 1'),
    );
  });

  it('changes nothing when the text says the same, also by leaving a field out', () => {
    const { text } = STYLES['a block list of flow mappings']!;
    const fields = { state: 'active', weight: 1 } as const;
    assert.equal(editedText(text, FILE, { kind: 'set', backend: 'web-2', fields }), text);
    const entry = { name: 'web-2', address: '10.1.0.12', weight: 1 };
    assert.equal(editedText(text, FILE, { kind: 'add', pool: 'web', entry }), text);
  });

  it('is made in every pool that has the backend, or in one', () => {
    const text = `pools:
  a: {backends: [{name: web-2, address: 10.1.0.12}, {name: a, address: 10.1.0.1}]}
  b: {backends: [{name: web-2, address: 10.1.0.12}, {name: a, address: 10.1.0.1}]}
`;
    assert.equal(editedText(text, FILE, drain).match(/draining/g)?.length, 2);
    assert.match(editedText(text, FILE, { ...drain, pool: 'b' }), /a: .*12}.*\n {2}b: .*draining/);
    assert.equal(editedText(text, FILE, remove).match(/web-2/g), null);
  });

  const REFUSED: Record<string, [text: string, edit: BackendEdit, message: RegExp]> = {
    'an alias on the way': [
      'pools:\n  web: &w {backends: [{name: web-2, address: 10.1.0.12}]}\n  b: *w\n',
      { ...drain, pool: 'b' },
      /^fleet\.yaml:3:\d+: pools\.b: found the alias \*w, so a change of this alone .*by hand$/,
    ],
    'an anchor on the way': [
      'pools:\n  web: {backends: &b [{name: web-2, address: 10.1.0.12}]}\n',
      drain,
      /^fleet\.yaml:2:\d+: pools\.web\.backends: found the anchor &b/,
    ],
    'a field that is an alias': [
      'pools:\n  web: {backends: [{name: web-1, address: 10.1.0.1, weight: &n 3}, {name: web-2, address: 10.1.0.12, weight: *n}]}\n',
      { kind: 'set', backend: 'web-2', fields: { weight: 4 } },
      /pools\.web\.backends\[1\]\.weight: found the alias \*n/,
    ],
    'an anchor that would go': [
      'pools:\n  web: {backends: [{name: web-2, address: 10.1.0.1, weight: &n 3}, {name: web-1, address: 10.1.0.12, weight: *n}]}\n',
      remove,
      /pools\.web\.backends\[0\]\.weight: found the anchor &n/,
    ],
    'a pool that is not there': ['pools: {web: {backends: []}}\n', { ...drain, pool: 'x' }, /no pool x/],
    'a backend that is not there': [
      'pools: {web: {backends: [{name: a}]}}\n',
      drain,
      /no pool has a backend web-2/,
    ],
    'the last backend of a pool': [
      'pools: {web: {backends: [{name: web-2}]}}\n',
      remove,
      /web has no other backend/,
    ],
    'another backend of the name': [
      'pools: {web: {backends: [{name: web-3, address: 10.1.0.1}]}}\n',
      add,
      /another backend web-3/,
    ],
    'what is no YAML': ['pools: [', drain, /^fleet\.yaml:/],
  };
  for (const [what, [text, edit, message]] of Object.entries(REFUSED)) {
    it(`is refused for ${what}`, () => {
      assert.throws(() => editedText(text, FILE, edit), { message });
    });
  }
});
