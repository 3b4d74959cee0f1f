/** `anyhop fleet init`: the operator's key, and a section that hosts take. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseConfig } from '#anyhop/config/load.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

describe('anyhop fleet init', () => {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-fleet-init-'));
  const key = join(directory, 'operator.key');
  after(() => rmSync(directory, { recursive: true }));
  const init = (name: string, endpoint: string) =>
    spawnSync(
      process.execPath,
      [MAIN, 'fleet', 'init', '--name', name, '--endpoint', endpoint, '--key', key],
      { encoding: 'utf8' },
    );

  test('makes no key for a section that no host would take, and says what is wrong with it', () => {
    for (const [name, endpoint, field] of [
      ['edge', 'foo', /fleet\.endpoints\[0\]: found "foo"; expected the URL of an etcd server/],
      ['no name', 'http://127.0.0.1:2379', /fleet\.name: found "no name"; expected a name/],
    ] as const) {
      const { status, stderr, stdout } = init(name, endpoint);
      assert.deepEqual([status, stdout], [2, '']);
      assert.match(stderr, field);
    }
    assert.equal(existsSync(key), false);
  });

  test('makes the key once, for its owner alone, and prints the same section again', () => {
    const [first, again] = [1, 2].map(() => init('7', 'http://127.0.0.1:2379'));
    assert.deepEqual([first!.status, again!.status], [0, 0]);
    assert.equal(again!.stdout, first!.stdout);
    assert.equal(statSync(key).mode & 0o777, 0o600);
    assert.match(readFileSync(key, 'utf8'), /PRIVATE KEY/);
    const { fleet } = parseConfig(first!.stdout, 'printed', { role: 'fleet', env: {} });
    assert.equal(fleet.name, '7');
  });
});
