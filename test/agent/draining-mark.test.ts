/** The mark of a host that asks to be drained: made and removed by whoever may, and believed only in a safe place. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isMarked, mark, markAuthor, markPath, unmark } from '#anyhop/agent/draining-mark.js';
import { parseAddress } from '#anyhop/packet/address.js';

const V4 = parseAddress('10.1.0.12')!;
const V6 = parseAddress('fd00::12')!;
const isUnusable = { code: 'ERR_DRAINING_MARK' };

describe('the mark of a host that asks to be drained', () => {
  let root: string;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'anyhop-mark-'));
  });
  after(() => rmSync(root, { recursive: true }));

  test('is one file for each address, and says who made it', () => {
    const directory = join(root, 'run', 'anyhop');
    assert.equal(isMarked(directory, V4), false, 'a directory that is not there has no mark');
    assert.equal(unmark(directory, V4), false);
    assert.equal(mark(directory, V4, 'anyhop l7 run'), true);
    assert.equal(mark(directory, V4, 'somebody else'), false);
    assert.equal(markAuthor(directory, V4), 'anyhop l7 run');
    assert.deepEqual([isMarked(directory, V4), isMarked(directory, V6)], [true, false]);
    assert.equal(markAuthor(directory, V6), undefined);
    assert.equal(mark(directory, V6, 'x'), true);
    assert.equal(markPath(directory, V6), join(directory, 'draining-fd00__12'));
    assert.equal(lstatSync(markPath(directory, V6)).mode & 0o777, 0o600);
    assert.equal(unmark(directory, V4), true);
    assert.deepEqual([isMarked(directory, V4), isMarked(directory, V6)], [false, true]);
  });

  test('can be made by hand, with any text', () => {
    for (const text of ['', 'x'.repeat(100), '\x1b[2J\n']) {
      writeFileSync(markPath(root, V4), text);
      assert.equal(isMarked(root, V4), true);
      assert.equal(markAuthor(root, V4), '');
    }
    unmark(root, V4);
  });

  test('is in a directory that every user may look into, whatever the umask', () => {
    const directory = join(root, 'umask');
    const umask = process.umask(0o077);
    try {
      mark(directory, V4, 'x');
    } finally {
      process.umask(umask);
    }
    assert.equal(lstatSync(directory).mode & 0o777, 0o755);
  });

  test("counts neither in a directory that others can write, nor as a link, a directory or another user's file", (t) => {
    const open = join(root, 'open');
    mkdirSync(open);
    writeFileSync(markPath(open, V4), '');
    chmodSync(open, 0o777);
    for (const use of [isMarked, unmark, markAuthor, (...at: [string, typeof V4]) => mark(...at, 'x')])
      assert.throws(() => use(open, V4), { ...isUnusable, message: /can be written by others/ });
    const linked = join(root, 'linked');
    mkdirSync(linked);
    symlinkSync('/etc/passwd', markPath(linked, V4));
    mkdirSync(markPath(linked, V6));
    for (const address of [V4, V6]) {
      assert.throws(() => isMarked(linked, address), { ...isUnusable, message: /not a regular file/ });
      assert.throws(() => mark(linked, address, 'x'), isUnusable);
      assert.throws(() => unmark(linked, address), isUnusable);
    }
    if (process.geteuid?.() !== 0) return t.skip("another user's file: needs root");
    const given = join(root, 'given');
    mark(given, V4, 'x');
    chownSync(markPath(given, V4), 12345, 12345);
    assert.throws(() => isMarked(given, V4), { ...isUnusable, message: /another user \(12345\)/ });
  });
});
