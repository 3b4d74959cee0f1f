/** A demo as a process of its own: its lines as they come, its end, and what it leaves behind. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { leftovers } from '../../scripts/lab/names.js';

const LEFT_POLLS = 100;

export interface RunningDemo {
  readonly demo: ChildProcess;
  readonly lines: readonly string[];
  /** Of the first lab that it makes. */
  readonly labName: string;
  /** Resolves to exit code and signal. */
  readonly ended: Promise<unknown[]>;
  /** Resolves when a line with this text was printed, or the demo has ended. */
  said(text: string): Promise<void>;
}

/** @param name of its program in scripts/ */
export function startDemo(name: string, args: readonly string[] = []): RunningDemo {
  const program = fileURLToPath(new URL(`../../scripts/${name}.js`, import.meta.url));
  const demo = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
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

/** Interrupts a demo once everything of it runs: it ends by the signal, and leaves nothing behind. */
export async function interruptDemo(name: string, args: readonly string[] = []): Promise<void> {
  const { demo, lines, labName, ended, said } = startDemo(name, args);
  try {
    await said('everything runs');
    assert.notDeepEqual(leftovers(labName), [], lines.join('\n'));
    demo.kill('SIGINT');
    assert.deepEqual(await ended, [130, null]);
    assert.deepEqual(await leftInTheEnd(labName), []);
  } finally {
    demo.kill('SIGKILL');
  }
}

/** What is left once killed processes have had 5 s to vanish. */
export async function leftInTheEnd(labName: string): Promise<string[]> {
  for (let i = 0; i < LEFT_POLLS && leftovers(labName).length > 0; i++) await delay(50);
  return leftovers(labName);
}
