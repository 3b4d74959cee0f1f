/** Config files that cannot be read: one sentence on what to do, never a stack. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ConfigError } from '#anyhop/config/error.js';
import { loadConfig } from '#anyhop/config/load.js';
import { CONFIG_BYTES_MAX } from '#anyhop/core/limits.js';
import { POOLS } from './fixture.js';

let folder: string;
before(() => {
  folder = mkdtempSync(joinPath(tmpdir(), 'anyhop-file-'));
});
after(() => rmSync(folder, { recursive: true }));

/** What the one problem of a file is, without the folder's name. */
function problemOf(name: string): string {
  try {
    loadConfig(joinPath(folder, name), { role: 'pools', env: {} });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.problems.length, 1);
    return error.message.replace(`${folder}/`, '');
  }
  return 'good';
}

function write(name: string, content: string | Uint8Array): string {
  writeFileSync(joinPath(folder, name), content);
  return name;
}

describe('a config file', () => {
  it('that is missing, a directory, or behind a file says so', () => {
    write('file', POOLS);
    symlinkSync('loop', joinPath(folder, 'loop'));
    assert.equal(problemOf('none.yaml'), 'none.yaml: no such file; check the path');
    assert.equal(problemOf('.'), `${folder}: this is a directory; expected a file`);
    assert.equal(problemOf('file/x'), 'file/x: a part of this path is not a directory; check the path');
    assert.equal(problemOf('loop'), 'loop: too many symbolic links; check where they lead');
  });

  it('that may not be read says so', {
    skip: process.getuid?.() === 0 ? 'root may read everything' : false,
  }, () => {
    chmodSync(joinPath(folder, write('closed.yaml', POOLS)), 0);
    assert.match(
      problemOf('closed.yaml'),
      /^closed\.yaml: no permission to read this file; run as its owner or root/,
    );
  });

  it('that is too large says how large it may be', () => {
    truncateSync(joinPath(folder, write('large.yaml', '#')), CONFIG_BYTES_MAX + 1);
    assert.equal(
      problemOf('large.yaml'),
      'large.yaml: the file is too large; expected 16777216 bytes at most',
    );
  });

  it('that never ends is given up', () => {
    assert.throws(
      () => loadConfig('/dev/zero', { role: 'pools', env: {} }),
      /\/dev\/zero: the file is too large/,
    );
  });

  it('that is not UTF-8 says where', () => {
    const latin1 = Buffer.from(POOLS.replace('web-2', 'w\u00e9b-2'), 'latin1');
    assert.equal(
      problemOf(write('latin1.yaml', latin1)),
      'latin1.yaml:5:17: found bytes that are not UTF-8; expected UTF-8 text',
    );
    const elf = Buffer.from('7f454c4602010100000000000000000003003e00', 'hex');
    assert.equal(
      problemOf(write('elf', elf)),
      'elf:1:1: found the control character U+007F; expected UTF-8 text',
    );
    const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(POOLS, 'utf16le')]);
    assert.match(
      problemOf(write('utf16.yaml', utf16)),
      /^utf16\.yaml:1:1: found UTF-16 text; expected UTF-8/,
    );
  });

  it('with a byte order mark is read', () => {
    assert.equal(problemOf(write('bom.yaml', `\ufeff${POOLS}`)), 'good');
  });
});
