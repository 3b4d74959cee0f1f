import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { inTemporaryDirectory } from '#anyhop/core/temporary.js';

const MODULE = new URL('../../../dist/core/temporary.js', import.meta.url);

describe('a temporary directory', () => {
  it('is for its user alone, and gone with all in it when its use ends, well or not', async () => {
    let path = '';
    const use = async (directory: string): Promise<number> => {
      path = directory;
      assert.equal(statSync(directory).mode & 0o777, 0o700);
      writeFileSync(join(directory, 'file'), 'text');
      return 7;
    };
    assert.equal(await inTemporaryDirectory('anyhop-test-', use), 7);
    assert.ok(path !== '' && !existsSync(path));
    const fail = async (directory: string): Promise<never> => {
      await use(directory);
      throw new Error('it fails');
    };
    await assert.rejects(inTemporaryDirectory('anyhop-test-', fail), /it fails/);
    assert.ok(!existsSync(path));
  });

  it('is gone when a signal ends the process', { timeout: 30_000 }, async () => {
    for (const [signal, code] of [
      ['SIGTERM', 143],
      ['SIGINT', 130],
      ['SIGHUP', 129],
    ] as const) {
      const script = `
        import { inTemporaryDirectory } from '${MODULE}';
        await inTemporaryDirectory('anyhop-test-', async (directory) => {
          console.log(directory);
          await new Promise((resolve) => setTimeout(resolve, 60_000));
        });`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let path = '';
      for await (const text of child.stdout.setEncoding('utf8')) {
        path += text;
        if (!path.endsWith('\n')) continue;
        assert.ok(existsSync(path.trim()));
        child.kill(signal);
      }
      const ended = child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve)));
      assert.equal(ended, code);
      assert.ok(!existsSync(path.trim()), signal);
    }
  });
});
