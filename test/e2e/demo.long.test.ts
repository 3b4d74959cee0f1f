/** The demo passes on every engine, and nothing of it outlives it, also when it is interrupted or killed. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import { EXIT } from '#anyhop/core/errors.js';
import { createLab, missingForLab } from '../../scripts/lab/lab.js';
import { leftovers } from '../../scripts/lab/names.js';

const SUMMARY = 'demo: 2000 requests, 0 failed, 3 backends, 2 forwarders';
const DEMO = fileURLToPath(new URL('../../scripts/demo.js', import.meta.url));

/** Starts the demo and resolves once its output has a line that starts with `line` and its lab has something to remove. */
async function startDemo(
  line: string,
): Promise<{ demo: ChildProcess; labName: string; ended: Promise<unknown[]> }> {
  const demo = spawn(process.execPath, [DEMO], { stdio: ['ignore', 'pipe', 'inherit'] });
  const labName = `ah-${demo.pid}-lab1`;
  const ended = once(demo, 'close');
  const seen = new Promise<void>((resolve) => {
    createInterface({ input: demo.stdout }).on('line', (text) => {
      if (text.startsWith(line)) resolve();
    });
  });
  await Promise.race([seen, ended]);
  while (leftovers(labName).length === 0 && demo.exitCode === null) await delay(5);
  return { demo, labName, ended };
}

/** What is left once killed processes have had 2 s to vanish. */
async function leftInTheEnd(labName: string): Promise<string[]> {
  for (let i = 0; i < 100 && leftovers(labName).length > 0; i++) await delay(20);
  return leftovers(labName);
}

const skip = missingForLab()?.message ?? false;

for (const engine of NODE_ENGINES) {
  test(`the demo passes on the engine ${engine}`, { skip, timeout: 60_000 }, async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [DEMO, engine]);
    assert.equal(stdout.trimEnd().split('\n').at(-1), SUMMARY);
    assert.match(stdout, new RegExp(`^edge-1: engine ${engine}, .*\\(as configured\\)$`, 'm'));
  });
}

test('the demo refuses an engine that there is not, and names those that there are', { skip }, async () => {
  await assert.rejects(promisify(execFile)(process.execPath, [DEMO, 'warp']), {
    code: EXIT.usage,
    stderr: 'demo: there is no engine warp\n  ENGINE is one of auto, xdp, af_xdp, portable.\n',
  });
});

for (const { moment, line } of [
  { moment: 'while the network is built', line: 'anyhop demo' },
  { moment: 'amid the requests', line: 'requests: 500 of 2000' },
]) {
  test(`Ctrl-C ${moment} removes everything that the demo made`, { skip, timeout: 60_000 }, async () => {
    const { demo, labName, ended } = await startDemo(line);
    try {
      demo.kill('SIGINT');
      assert.deepEqual(await ended, [130, null]);
      assert.deepEqual(await leftInTheEnd(labName), []);
    } finally {
      demo.kill('SIGKILL');
    }
  });
}

test('what a killed demo left behind is removed by the next lab', { skip, timeout: 60_000 }, async () => {
  const { demo, labName, ended } = await startDemo('requests: 500 of 2000');
  demo.kill('SIGKILL');
  await ended;
  assert.notDeepEqual(leftovers(labName), []);
  const next = await createLab({ forwarders: 1, backends: 1 });
  await next.close();
  assert.deepEqual(await leftInTheEnd(labName), []);
});
