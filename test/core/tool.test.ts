/** Running the system's programs: what comes back, and what a user is told when one is missing or fails. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { AnyhopError } from '#anyhop/core/errors.js';
import { requireTool, runTool } from '#anyhop/core/tool.js';

test('a program gets its input and gives back output, messages and exit code', async () => {
  const script = 'cat; echo warned >&2; exit 3';
  assert.deepEqual(await runTool('sh', ['-c', script], 'input\n'), {
    code: 3,
    stdout: 'input\n',
    stderr: 'warned\n',
  });
});

test('arguments reach a program as they are, through no shell', async () => {
  assert.equal(await requireTool(runTool, 'printf', ['%s', '$(id); *']), '$(id); *');
});

test('a program that does not read its input is no error', async () => {
  assert.equal((await runTool('true', [], 'x'.repeat(1_000_000))).code, 0);
});

test('a program that is not there is named, with the package to install', async () => {
  await assert.rejects(runTool('no-such-program', []), (error: AnyhopError) => {
    assert.equal(error.code, 'ERR_TOOL');
    assert.match(error.message, /no-such-program is not there/);
    assert.match(error.hint ?? '', /Install it/);
    return true;
  });
});

test('a program that fails where it must not is quoted', async () => {
  await assert.rejects(requireTool(runTool, 'sh', ['-c', 'echo broken >&2; exit 1']), {
    code: 'ERR_TOOL',
    message: 'sh -c echo broken >&2; exit 1: broken',
  });
});
