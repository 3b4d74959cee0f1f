/** Failures in words: no name of the kernel's and none of a constant reaches whoever reads a message. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { reasonOf, reasonWithPlace } from '#anyhop/core/reason.js';

describe('the reason of a failure', () => {
  test('of the system is in words, with the address that was called', async () => {
    assert.throws(
      () => readFileSync('/nowhere/at all'),
      (error) => reasonOf(error) === 'it does not exist',
    );
    assert.throws(
      () => readFileSync('/'),
      (error) => reasonOf(error) === 'it is a directory',
    );
    const refused = await new Promise<unknown>((resolve) =>
      createConnection({ host: '127.0.0.1', port: 1 }).once('error', resolve),
    );
    assert.equal(reasonOf(refused), 'connection refused');
    assert.equal(reasonWithPlace(refused), 'connection refused (127.0.0.1:1)');
    assert.equal(reasonWithPlace(new Error('it broke')), 'it broke');
    const full = Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC', errno: -28, syscall: 'write' });
    assert.equal(reasonOf(full), 'no space left on device');
  });

  test('of anything else is its first line', () => {
    assert.equal(reasonOf(new Error('it broke\n  at some place')), 'it broke');
    assert.equal(reasonOf('a text'), 'a text');
  });
});

test('no message names a limit by its constant', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const named = files.flatMap((name) =>
    readFileSync(join('src', name), 'utf8')
      .split('\n')
      .filter((line) =>
        /['`].*\(([A-Z][A-Z0-9]*_)+(MAX|MIN)\).*['`]/.test(line.replaceAll(/\$\{[^}]*\}/g, '')),
      )
      .map((line) => `${name}: ${line.trim()}`),
  );
  assert.deepEqual(named, []);
});
