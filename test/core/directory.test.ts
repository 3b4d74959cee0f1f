import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeDirectory } from '#anyhop/core/directory.js';

const root = mkdtempSync(join(tmpdir(), 'anyhop-directory-'));
after(() => rmSync(root, { recursive: true }));

test('a directory is made with all above it, and one that is there is left as it is', () => {
  const path = join(root, 'a', 'b', 'c');
  assert.equal(makeDirectory(path, 0o700), true);
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.equal(makeDirectory(path, 0o755), false);
  assert.equal(statSync(path).mode & 0o777, 0o700);
});

test('what cannot be made is told at once, whatever the kernel says about it', () => {
  writeFileSync(join(root, 'file'), '');
  assert.throws(() => makeDirectory(join(root, 'file'), 0o700), { code: 'EEXIST' });
  assert.throws(() => makeDirectory(join(root, 'file', 'below'), 0o700), { code: 'ENOTDIR' });
  if (existsSync('/proc/self')) assert.throws(() => makeDirectory('/proc/nope', 0o700), { code: 'ENOENT' });
});
