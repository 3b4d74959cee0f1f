/** Files that a capture is written to: only its user's own, and never waited for. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { captureFile } from '#anyhop/cli/capture-output.js';

describe('the file of a capture', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ah-capture-'));
  after(() => rmSync(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  const write = async (name: string, replaces: boolean): Promise<void> => {
    const file = { source: 'a test', interface: 'eth0', snapLength: 256, filter: '' };
    const output = await captureFile(name, replaces, 'forwarder', file, new AbortController().signal);
    await output.close(undefined);
  };

  it('that is replaced is its user alone’s, too', async () => {
    writeFileSync(path('old'), 'x'.repeat(10_000), { mode: 0o644 });
    await assert.rejects(write(path('old'), false), { code: 'ERR_USAGE', message: /is there already/ });
    await write(path('old'), true);
    const { size, mode } = statSync(path('old'));
    assert.ok(size > 0 && size < 10_000);
    assert.equal(mode & 0o777, 0o600);
  });

  it('is none of others: neither a link is followed, nor a pipe without a reader waited for', {
    timeout: 30_000,
  }, async () => {
    symlinkSync(path('target'), path('link'));
    execFileSync('mkfifo', [path('pipe')]);
    for (const replaces of [false, true]) {
      await assert.rejects(write(path('link'), replaces));
      await assert.rejects(write(path('pipe'), replaces), { code: 'ERR_USAGE' });
    }
    await assert.rejects(write('/dev/null', true), { code: 'ERR_USAGE', message: /no regular file/ });
    assert.equal(existsSync(path('target')), false);
  });
});
