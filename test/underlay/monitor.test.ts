/** `ip monitor` as a child: it tells, it is started again, and it never outlives its parent. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';

const PROGRAM = fileURLToPath(new URL('./monitor-process.js', import.meta.url));
const TIMEOUT_MS = 30_000;
const WAIT_MS = 5_000;
const SETTLED_MS = 1_000;

/** A watching program and what runs in the namespace that it watches: `ip monitor`, and nothing else. */
interface Watch {
  readonly program: ChildProcess;
  readonly lines: string[];
  readonly monitors: () => Promise<number[]>;
  readonly change: (...line: string[]) => Promise<string>;
}

async function withWatch(work: (watch: Watch) => Promise<void>): Promise<void> {
  const resources = new Resources();
  const namespace = resources.addNamespace('monitor');
  const program = spawn(process.execPath, [PROGRAM, namespace], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface({ input: program.stdout }).on('line', (line) => lines.push(line));
  try {
    const monitors = async (): Promise<number[]> =>
      (await run(['ip', 'netns', 'pids', namespace])).split('\n').filter(Boolean).map(Number);
    await until(async () => (await monitors()).length === 1, 'no ip monitor');
    // Told at first in any case, by when it listens.
    await until(() => lines.length === 1, 'not told of the start');
    await work({ program, lines, monitors, change: (...line) => run(['ip', '-n', namespace, ...line]) });
  } finally {
    program.kill('SIGKILL');
    await resources.close();
  }
}

async function until(holds: () => boolean | Promise<boolean>, otherwise: string): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, otherwise);
    await delay(10);
  }
}

describe('in a namespace', { skip: missingForIsolation() }, () => {
  test('it tells changes of neighbours apart from all others', { timeout: TIMEOUT_MS }, async () => {
    await withWatch(async ({ lines, change }) => {
      await change('link', 'set', 'lo', 'up');
      // Routes and addresses come with it.
      await until(() => lines.length > 1, 'a link that came up is not told');
      await delay(SETTLED_MS);
      assert.deepEqual(new Set(lines), new Set(['anything']));
      const before = lines.length;
      await change(
        'neigh',
        'add',
        '10.0.0.1',
        'dev',
        'lo',
        'lladdr',
        '02:00:00:00:00:01',
        'nud',
        'permanent',
      );
      await until(() => lines.length > before, 'a neighbour is not told');
      assert.deepEqual(lines.slice(before), ['neighbours']);
    });
  });

  test('one that is killed is told as lost, and another one follows', { timeout: TIMEOUT_MS }, async () => {
    await withWatch(async ({ lines, monitors, change }) => {
      const [first] = await monitors();
      process.kill(first!, 'SIGKILL');
      await until(() => lines.includes('lost: it ended'), lines.join('\n'));
      await until(async () => (await monitors()).length === 1, 'no other one');
      assert.notDeepEqual(await monitors(), [first]);
      await until(() => lines.length === 3, 'not told that it may have missed something');
      await change('link', 'set', 'lo', 'up');
      await until(() => lines.length > 3, 'the second one tells nothing');
    });
  });

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`it ends with its parent, on ${signal} too, though nothing changes`, {
      timeout: TIMEOUT_MS,
    }, async () => {
      await withWatch(async ({ program, monitors }) => {
        program.kill(signal);
        await once(program, 'exit');
        await until(async () => (await monitors()).length === 0, 'ip monitor outlived its parent');
      });
    });
  }
});
