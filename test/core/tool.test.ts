/** Running the system's programs: what comes back, and what a user is told when one is missing or fails. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { AnyhopError } from '#anyhop/core/errors.js';
import { runTool as byNode, limitedTool, requireTool } from '#anyhop/core/tool.js';
import { runTool as byLibrary } from '#anyhop/ffi/tool.js';

const WAYS = [
  ['by Node', '#anyhop/core/tool.js', byNode],
  ['by the native library', '#anyhop/ffi/tool.js', byLibrary],
] as const;

for (const [how, module, runTool] of WAYS) {
  test(`a program gets its input and gives back output, messages and exit code (${how})`, async () => {
    const script = 'cat; echo warned >&2; exit 3';
    assert.deepEqual(await runTool('sh', ['-c', script], 'input\n'), {
      code: 3,
      stdout: 'input\n',
      stderr: 'warned\n',
    });
  });

  test(`arguments reach a program as they are, through no shell (${how})`, async () => {
    assert.equal(await requireTool(runTool, 'printf', ['%s', '$(id); *']), '$(id); *');
  });

  test(`a program that does not read its input is no error (${how})`, async () => {
    assert.equal((await runTool('true', [], 'x'.repeat(1_000_000))).code, 0);
  });

  test(`a program that is not there is named, with the package to install (${how})`, async () => {
    await assert.rejects(runTool('no-such-program', []), (error: AnyhopError) => {
      assert.equal(error.code, 'ERR_TOOL');
      assert.match(error.message, /no-such-program is missing/);
      assert.match(error.hint ?? '', /Install it/);
      return true;
    });
  });

  test(`a program for which no descriptor is left is an error of its own, and not the end of the process (${how})`, () => {
    const url = import.meta.resolve(module);
    const script = `
      const { runTool } = await import(${JSON.stringify(url)});
      await runTool('ip', ['-V']); // whatever it needs itself is there
      const held = [];
      const { openSync, closeSync } = await import('node:fs');
      try { for (;;) held.push(openSync('/dev/null')); } catch {}
      const error = await runTool('ip', ['-V']).catch((each) => each);
      for (const each of held) closeSync(each);
      const { code } = await runTool('ip', ['-V']);
      console.log(error.code, error.message, code);`;
    const node = [process.execPath, '--input-type=module', '-e', script];
    const { stdout, stderr } = spawnSync('sh', ['-c', 'ulimit -n 64; exec "$@"', 'sh', ...node], {
      encoding: 'utf8',
    });
    assert.equal(stdout, 'ERR_TOOL the program ip cannot be started: too many open files 0\n', stderr);
  });

  test(`a program that fails where it must not is quoted (${how})`, async () => {
    await assert.rejects(requireTool(runTool, 'sh', ['-c', 'echo broken >&2; exit 1']), {
      code: 'ERR_TOOL',
      message: 'sh -c echo broken >&2; exit 1: broken',
    });
  });

  test(`many programs at once each get their own ending (${how})`, async () => {
    const codes = Array.from({ length: 20 }, (_, i) => i);
    const results = await Promise.all(
      codes.map((code) => runTool('sh', ['-c', `echo ${code}; exit ${code}`])),
    );
    assert.deepEqual(
      results.map(({ code, stdout }) => [code, stdout]),
      codes.map((code) => [code, `${code}\n`]),
    );
  });

  test(`a program that a signal ends is an error, and signals that Node ignores end it too (${how})`, async () => {
    await assert.rejects(runTool('sh', ['-c', 'kill -PIPE $$']), { message: /^sh was ended by SIGPIPE/ });
  });
}

test('a program whose children hold its streams keeps nobody waiting beyond its time limit', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-tool-'));
  const file = join(directory, 'pid');
  try {
    const limited = limitedTool({ timeoutMs: 500, outputCharsMax: 100 });
    const startMs = performance.now();
    await assert.rejects(
      limited('sh', ['-c', 'sleep 60 & echo $! > "$0"; wait', file]),
      /sh was ended by SIGKILL \(time limit 500ms\)/,
    );
    assert.ok(performance.now() - startMs < 30_000);
  } finally {
    process.kill(Number(readFileSync(file, 'utf8')));
    rmSync(directory, { recursive: true });
  }
});

test("what runs as `ip` is the system's own, whatever PATH says and whatever lies in the current directory", () => {
  const directory = mkdtempSync(join(tmpdir(), 'anyhop-tool-'));
  try {
    const trap = join(directory, 'trap');
    for (const name of ['ip', 'sh'])
      writeFileSync(join(directory, name), `#!/bin/sh\ntouch ${trap}\n`, { mode: 0o755 });
    const urls = ['core/tool.js', 'underlay/monitor.js'].map((path) =>
      import.meta.resolve(`#anyhop/${path}`),
    );
    const script = `
      const [{ runTool }, { startMonitor }] = await Promise.all(${JSON.stringify(urls)}.map((url) => import(url)));
      const { stdout } = await runTool('ip', ['-V']);
      let why;
      const lost = new Promise((told) => { why = told; });
      const monitor = startMonitor({ changed: () => why('it listens'), lost: why });
      const timer = setTimeout(() => {}, 10_000);
      await lost;
      clearTimeout(timer);
      await monitor.close();
      process.stdout.write(stdout);`;
    for (const path of ['', '.', directory, undefined]) {
      const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
        cwd: directory,
        env: path === undefined ? {} : { PATH: path },
        encoding: 'utf8',
      });
      assert.match(stdout, /iproute2/, stderr);
      assert.ok(!existsSync(trap), `PATH=${path}`);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
