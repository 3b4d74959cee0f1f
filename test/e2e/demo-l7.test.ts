/** The demo of layer 7 ends without a failed request, and nothing of it outlives it, also when it is interrupted. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { L7_TOOLS } from '../../scripts/lab/l7/lab.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { leftovers } from '../../scripts/lab/names.js';

const DEMO = fileURLToPath(new URL('../../scripts/demo-l7.js', import.meta.url));
/** Far more than the two minutes that it may take on a machine that does nothing else. */
const TIMEOUT_MS = 400_000;
const LEFT_POLLS = 100;

interface RunningDemo {
  readonly demo: ChildProcess;
  readonly lines: readonly string[];
  readonly labName: string;
  readonly ended: Promise<unknown[]>;
  /** Resolves when a line with this text was printed, or the demo has ended. */
  said(text: string): Promise<void>;
}

function startDemo(): RunningDemo {
  const demo = spawn(process.execPath, [DEMO], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  for (const stream of [demo.stdout, demo.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      for (const listener of listeners) listener();
    });
  const ended = once(demo, 'close');
  const said = (text: string): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (lines.some((line) => line.includes(text))) resolve();
      };
      listeners.add(look);
      look();
      ended.then(() => resolve());
    });
  return { demo, lines, labName: `ah-${demo.pid}-lab1`, ended, said };
}

/** What is left once killed processes have had 5 s to vanish. */
async function leftInTheEnd(labName: string): Promise<string[]> {
  for (let i = 0; i < LEFT_POLLS && leftovers(labName).length > 0; i++) await delay(50);
  return leftovers(labName);
}

const skip = missingForLab(L7_TOOLS)?.message ?? false;

test('the demo of layer 7 ends with 0 failed requests, and only the killed HAProxy takes some along', {
  skip,
  timeout: TIMEOUT_MS,
}, async () => {
  const { demo, lines, labName, ended } = startDemo();
  try {
    const [code] = await ended;
    const text = lines.join('\n');
    assert.equal(code, 0, text);
    assert.match(
      text,
      /^demo-l7: \d+ requests, 0 failed, \d+ connections, 2 forwarders, 2 proxies, 4 servers, 10 reloads, 1 drain$/m,
    );
    assert.match(lines.at(-1)!, /^demo-l7: kill -9 of HAProxy on proxy-1: .*, 0 elsewhere$/);
    assert.deepEqual(await leftInTheEnd(labName), []);
  } finally {
    demo.kill('SIGKILL');
  }
});

test('Ctrl-C removes everything that the demo of layer 7 made, HAProxy included', {
  skip,
  timeout: TIMEOUT_MS,
}, async () => {
  const { demo, lines, labName, ended, said } = startDemo();
  try {
    await said('everything runs');
    assert.notDeepEqual(leftovers(labName), [], lines.join('\n'));
    demo.kill('SIGINT');
    assert.deepEqual(await ended, [130, null]);
    assert.deepEqual(await leftInTheEnd(labName), []);
  } finally {
    demo.kill('SIGKILL');
  }
});
