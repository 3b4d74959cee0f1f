/** Where the last good config is must be found in a file that may be wrong anywhere. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type StateDirectory, stateDirectoryIn } from '#anyhop/config/state-directory.js';

const root = mkdtempSync(join(tmpdir(), 'anyhop-config-'));
after(() => rmSync(root, { recursive: true }));

function inFile(text: string): StateDirectory {
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
    'node:\n  # state_dir: /var/lib/anyhop\n  state_dir: /srv/state\n  engine: [',
    'node:\n  state_dir: "/srv/state\n  engine: xdp',
    "node:\n  state_dir: '/srv/state\n",
    'node:\n  state_dir:\n    /srv/state\n  engine: ][',
  ]) {
    assert.deepEqual(inFile(text), { path: '/srv/state' }, text);
  }
});

test('a file that does not speak of it leaves it where it is by default', () => {
  for (const text of ['# state_dir: /a', '# state_dirs: /a', 'my_state_dir: /a', '']) {
    assert.equal(inFile(text), 'none', text);
  }
  assert.equal(stateDirectoryIn(join(root, 'missing.yaml')), 'none');
});

test('a file that speaks of it without saying where is not taken for one that does not: an older config would come into force', () => {
  for (const text of [
    'node:\n  state_dir: srv/state',
    'node:\n  state_dir:\n',
    'node:\n  state_dir: [/srv/state]\n',
    'node:\n  state_dir: /srv/state\n  state_dir: /srv/other\n',
  ]) {
    assert.equal(inFile(text), 'unclear', text);
  }
});
