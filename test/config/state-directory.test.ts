/** Where the last good config is must be found in a file that may be wrong anywhere. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { stateDirectoryIn } from '#anyhop/config/state-directory.js';

const root = mkdtempSync(join(tmpdir(), 'anyhop-config-'));
after(() => rmSync(root, { recursive: true }));

function inFile(text: string): string | undefined {
  const file = join(root, 'anyhop.yaml');
  writeFileSync(file, text);
  return stateDirectoryIn(file);
}

test('the state directory is found in every style of YAML, also where the rest is none', () => {
  for (const text of [
    'node:\n  state_dir: /srv/state\npools: [',
    'node: {name: a, state_dir: /srv/state, engine: }',
    'node: {state_dir: "/srv/state"}}}',
    "node:\n  'state_dir': '/srv/state' # here\n\t- nonsense",
    'node:\n  state_dir: /srv/state # a comment',
    '{"node": {"state_dir": "/srv/state"',
  ]) {
    assert.equal(inFile(text), '/srv/state', text);
  }
});

test('nothing is made of what is no path, is commented out, or is not there', () => {
  for (const text of [
    'node:\n  state_dir: srv/state',
    'node:\n  state_dir:\n',
    '# state_dirs: /a',
    'my_state_dir: /a',
    '',
  ]) {
    assert.equal(inFile(text), undefined, text);
  }
  assert.equal(stateDirectoryIn(join(root, 'missing.yaml')), undefined);
});
