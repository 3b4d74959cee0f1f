/** The short form of `make survive`: real connections through all its events, with second chance and without. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { EXIT } from '#anyhop/core/errors.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { leftovers } from '../../scripts/lab/names.js';
import type { EventResult, Verdict } from '../../scripts/survive/judge.js';

const SURVIVE = fileURLToPath(new URL('../../scripts/survive.js', import.meta.url));
const TIMEOUT_MS = 120_000;
const skip = missingForLab()?.message ?? false;

async function survive(...args: string[]): Promise<{ code: number; verdict: Verdict; labName: string }> {
  const run = spawn(process.execPath, [SURVIVE, '--short', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [printed, errors, [code]] = await Promise.all([
    text(run.stdout),
    text(run.stderr),
    once(run, 'close'),
  ]);
  assert.notEqual(printed, '', errors);
  return { code, verdict: JSON.parse(printed), labName: `ah-${run.pid}-lab1` };
}

const told = (verdict: Verdict): string => JSON.stringify(verdict, null, 1);
const eventOf = ({ events }: Verdict, title: string): EventResult =>
  events.find((event) => event.title.startsWith(title))!;

test('no connection breaks but those of the backend that crashes', {
  skip,
  timeout: TIMEOUT_MS,
}, async () => {
  const { code, verdict, labName } = await survive();
  assert.equal(code, EXIT.ok, told(verdict));
  assert.equal(verdict.held, 200);
  for (const event of verdict.events)
    if (!event.title.startsWith('crash')) assert.equal(event.broken, 0, told(verdict));
  const crash = eventOf(verdict, 'crash');
  // At risk are also connections of the backend that drains, in slots of the one that crashes.
  assert.ok(crash.broken > crash.atRisk / 2 && crash.broken === crash.excused, told(verdict));
  // Each of the drained backend's connections sends more than once.
  const drain = eventOf(verdict, 'drain');
  assert.ok(drain.secondHops > 2 * drain.atRisk, told(verdict));
  assert.deepEqual(leftovers(labName), []);
});

test('without second chance the same events break connections', { skip, timeout: TIMEOUT_MS }, async () => {
  const { code, verdict, labName } = await survive('--second-chance', 'off');
  assert.equal(code, EXIT.failure, told(verdict));
  const drain = eventOf(verdict, 'drain');
  assert.ok(drain.broken > 0 && drain.broken >= drain.atRisk / 2, told(verdict));
  for (const { secondHops } of verdict.events) assert.equal(secondHops, 0);
  // No forwarder has anything to lose.
  assert.equal(eventOf(verdict, 'kill -9 of edge-1').broken, 0, told(verdict));
  assert.deepEqual(leftovers(labName), []);
});

test('Ctrl-C amid the events removes everything', { skip, timeout: TIMEOUT_MS }, async () => {
  const run = spawn(process.execPath, [SURVIVE, '--short'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(run, 'close');
  for await (const chunk of run.stdout) if (String(chunk).includes('drain web-2')) break;
  run.kill('SIGINT');
  assert.deepEqual(await ended, [130, null]);
  const labName = `ah-${run.pid}-lab1`;
  for (let i = 0; i < 100 && leftovers(labName).length > 0; i++) await delay(20);
  assert.deepEqual(leftovers(labName), []);
});
