import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { makeDirectory } from '#anyhop/core/directory.js';
import type { AnyhopError } from '#anyhop/core/errors.js';
import { requireOwnDirectory } from '#anyhop/core/own-directory.js';

const NOBODY = 65534;
const needsRoot = process.geteuid?.() !== 0 && 'needs root';

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

describe('a directory for files of a node', () => {
  const refusal = (path: string): string | undefined => {
    try {
      requireOwnDirectory(path, 'ERR_STATE_FILE', 'node.state_dir');
      return undefined;
    } catch (error) {
      return `${(error as AnyhopError).message} | ${(error as AnyhopError).hint}`;
    }
  };
  const make = (name: string, mode: number): string => {
    const path = join(root, name);
    mkdirSync(path, { recursive: true });
    chmodSync(path, mode);
    return path;
  };

  test('is one that its user alone can write, on the whole way down; it may be missing', () => {
    assert.equal(refusal(make('own/deep', 0o700)), undefined);
    assert.equal(refusal(make('own/read-by-all', 0o755)), undefined);
    assert.equal(refusal(join(root, 'own/not/there')), undefined);
    assert.equal(refusal(join(make('sticky', 0o1777), 'not-there')), undefined);
    const open = make('open', 0o777);
    assert.match(
      refusal(join(open, 'below')) ?? '',
      new RegExp(
        `^${open}/below is not safe: ${open} can be written by others .* chmod go-w ${open}, or name another`,
      ),
    );
    chmodSync(open, 0o700);
    assert.equal(refusal(join(open, 'below')), undefined);
  });

  test('is judged by where links lead', () => {
    make('linked', 0o700);
    make('linked/shared', 0o777);
    symlinkSync('linked/shared/../shared', join(root, 'by-link'));
    assert.match(refusal(join(root, 'by-link')) ?? '', /linked\/shared can be written by others/);
    chmodSync(join(root, 'linked/shared'), 0o755);
    assert.equal(refusal(join(root, 'by-link')), undefined);
    symlinkSync('loop', join(root, 'loop'));
    assert.throws(() => requireOwnDirectory(join(root, 'loop'), 'ERR_STATE_FILE'), { code: 'ELOOP' });
  });

  test('belongs to its user or to root, and so do links to it', { skip: needsRoot }, () => {
    const theirs = make('theirs', 0o755);
    make('theirs/below', 0o755);
    chownSync(theirs, NOBODY, NOBODY);
    assert.match(
      refusal(theirs) ?? '',
      /theirs belongs to another user \(65534\) than the one that runs this \(0\) \| As root: chown 0 /,
    );
    assert.match(refusal(join(theirs, 'below')) ?? '', /below is not safe: .*theirs belongs to another user/);
    make('sticky', 0o1777);
    make('target', 0o700);
    const link = join(root, 'sticky/link');
    symlinkSync('../target', link);
    assert.equal(refusal(link), undefined);
    lchownSync(link, NOBODY, NOBODY);
    assert.match(refusal(link) ?? '', /link belongs to another user .* chown -h 0 /);
  });
});
