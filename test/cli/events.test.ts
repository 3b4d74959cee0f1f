/** `anyhop events`: of a node that runs, of one that is gone, and while one comes and goes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ControlActions } from '#anyhop/api/api.js';
import { controlRoutes } from '#anyhop/api/routes.js';
import { serveControl } from '#anyhop/api/server.js';
import { isWanted, parseSince } from '#anyhop/cli/events-filter.js';
import { EVENTS_ANSWERED_MAX } from '#anyhop/core/limits.js';
import { createLog, type Logger } from '#anyhop/core/log.js';
import { makeEvent } from '#anyhop/events/event.js';
import { EventJournal } from '#anyhop/events/journal.js';
import { EventStore } from '#anyhop/events/store.js';
import { anyhop } from './client.js';

const directory = mkdtempSync(join(tmpdir(), 'anyhop-cli-events-'));
after(() => rmSync(directory, { recursive: true }));
const silent = createLog('silent');
const socket = join(directory, 'edge-1.sock');

interface Running {
  readonly log: Logger;
  stop(): Promise<void>;
}

/** A node that has only events. */
async function startNode(stateDirectory: string, now = () => new Date()): Promise<Running> {
  const store = new EventStore({ directory: stateDirectory, name: 'edge-1', field: 'x', log: silent, now });
  const actions = { events: (query) => store.report(query) } as Partial<ControlActions> as ControlActions;
  const control = await serveControl(socket, controlRoutes(actions), silent);
  return {
    log: store.recorded(silent),
    stop: async () => {
      await control.close();
      await store.close();
    },
  };
}

describe('anyhop events', () => {
  const place = join(directory, 'state');
  let node: Running | undefined;
  before(async () => {
    node = await startNode(place);
    node.log.warn({ event: 'health' }, 'web/web-1 is down: connection refused (10.1.0.11:80), 3 in a row');
    node.log.info({ event: 'reload' }, 'reading the config file again');
    node.log.error({ event: 'reload_refused' }, 'a.yaml:3:5: missing\na.yaml:9:1: \u001b[2J');
  });
  after(() => node?.stop());
  const lines = async (...args: string[]): Promise<string[]> => {
    const { code, stdout, stderr } = await anyhop(['events', ...args]);
    assert.equal(code, 0, stderr);
    return stdout.trimEnd().split('\n');
  };

  it('shows time, level, name and text, one event a line, and what names mean', async () => {
    const drawn = await lines('--socket', socket, '--explain');
    const shape = drawn.map((line) => line.replace(/^\d\d:\d\d:\d\d/, 'TIME'));
    assert.match(shape[0], /^TIME {2}info {3}process_started {3}anyhop [\d.]+ starts, process \d+$/);
    assert.deepEqual(shape.slice(1, 5), [
      'TIME  WARN   health            web/web-1 is down: connection refused (10.1.0.11:80), 3 in a row',
      'TIME  info   reload            reading the config file again',
      'TIME  ERROR  reload_refused    a.yaml:3:5: missing',
      `${' '.repeat(35)}a.yaml:9:1: \\u001b[2J`,
    ]);
    assert.equal(
      shape[6],
      'health            A backend is up or down now, by all its checks; `reason` says why.',
    );
  });

  it('selects by time, level, name and text, and prints JSON', async () => {
    const of = async (...args: string[]): Promise<string[]> =>
      (await lines('--socket', socket, '--json', ...args)).map((line) => line && JSON.parse(line).event);
    const [level, names, none, wrong, followed] = await Promise.all([
      of('--level', 'warn'),
      of('--event', 'health,reload'),
      of('--since', '2h', '--grep', 'no such thing'),
      anyhop(['events', '--event', 'helth']),
      anyhop(['events', '--state-dir', place, '--follow']),
    ]);
    assert.deepEqual(level, ['health', 'reload_refused']);
    assert.deepEqual(names, ['health', 'reload']);
    assert.deepEqual(none, ['']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /Did you mean health\?/);
    assert.equal(followed.code, 2);
  });

  it('of a node that is gone come from its files, and it says so', async () => {
    const gone = join(directory, 'gone');
    const env = { ANYHOP_STATE_DIR: gone };
    const nobody = ['events', '--socket', join(directory, 'nobody.sock')];
    const missing = await anyhop(nobody, '', env);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /nobody\.sock: it does not exist/);
    const write = async (name: string): Promise<void> => {
      const store = new EventStore({ directory: gone, name, field: 'x', log: silent });
      store.recorded(silent).warn({ event: 'health' }, `${name}: web-1 is down`);
      await store.close();
    };
    await write('edge-1');
    const { stdout, stderr, code } = await anyhop(nobody, '', env);
    assert.equal(code, 0);
    assert.match(stdout, /edge-1: web-1 is down\n.*process_ended/);
    assert.match(stderr, /^anyhop: no node answers \(.*\): events from .*\/gone\/edge-1\.events\.jsonl\n$/);
    await write('edge-2');
    const [several, named, unknown] = await Promise.all([
      anyhop(nobody, '', env),
      anyhop(['events', '--name', 'edge-2'], '', env),
      anyhop(['events', '--state-dir', gone, '--name', 'edge-3']),
    ]);
    assert.equal(several.code, 2);
    assert.match(several.stderr, /edge-1, edge-2\n {2}Name one: --name edge-1 \| edge-2\n/);
    assert.deepEqual([named.code, named.stderr], [0, '']);
    assert.match(named.stdout, /edge-2: web-1 is down/);
    assert.match(unknown.stderr, /Those of edge-1, edge-2 are/);
  });
});

test('anyhop events adds from the files what a node has no longer in memory', async () => {
  const place = join(directory, 'long');
  const count = EVENTS_ANSWERED_MAX + 500;
  mkdirSync(place, { mode: 0o700 });
  for (const part of [0, 1]) {
    // Two processes: one alone may not write so many at once.
    const journal = new EventJournal({ directory: place, name: 'edge-1', field: 'x', log: silent });
    for (let i = part === 0 ? 0 : 1000; i < (part === 0 ? 1000 : count); i++)
      journal.add(makeEvent(new Date(Date.now() - 3_600_000 + i), 'info', 'health', `event ${i}`));
    await journal.close();
  }
  const node = await startNode(place);
  try {
    const { stdout, stderr } = await anyhop(['events', '--socket', socket, '--json', '--event', 'health']);
    assert.equal(stderr, '');
    const numbers = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).message);
    assert.deepEqual(
      numbers,
      Array.from({ length: count }, (_, i) => `event ${i}`),
    );
  } finally {
    await node.stop();
  }
});

test('anyhop events --follow shows each event once, across restarts of the node, also when its clock is set back or nothing is kept', async () => {
  const place = join(directory, 'followed');
  let aheadMs = 0;
  let node = await startNode(place, () => new Date(Date.now() + aheadMs));
  node.log.info({ event: 'health' }, 'number 1');
  const child = spawn(process.execPath, [
    'dist/main.js',
    'events',
    '--follow',
    '--socket',
    socket,
    '--grep',
    'number',
  ]);
  let [out, err] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (out += text));
  child.stderr.on('data', (text: Buffer) => (err += text));
  const until = async (condition: () => boolean): Promise<void> => {
    const deadlineMs = performance.now() + 30_000;
    while (!condition()) {
      assert.ok(performance.now() < deadlineMs, `never: ${condition}; ${out}; ${err}`);
      await delay(20);
    }
  };
  try {
    await until(() => out.includes('number 1'));
    node.log.info({ event: 'health' }, 'number 2');
    await until(() => out.includes('number 2'));
    aheadMs = -600_000;
    node.log.info({ event: 'health' }, 'number back');
    await until(() => out.includes('number back'));
    aheadMs = 0;
    await node.stop();
    await until(() => err.includes('is waited for'));
    node = await startNode(place);
    node.log.info({ event: 'health' }, 'number 3');
    await until(() => out.includes('number 3'));
    node.log.info({ event: 'health' }, 'number 4');
    await until(() => out.includes('number 4'));
    await node.stop();
    // As in a container: the same number of the process, and an empty directory.
    node = await startNode(join(directory, 'elsewhere'));
    node.log.info({ event: 'health' }, 'number 5');
    await until(() => out.includes('number 5'));
    const shown = ['1', '2', 'back', '3', '4', '5'].map((each) => `number ${each}`);
    assert.deepEqual(out.match(/number \w+/g), shown);
  } finally {
    child.kill();
    await node.stop();
  }
});

test('times of --since are durations, times of this clock, or dates, and nothing else', () => {
  const now = new Date(2024, 4, 1, 12, 30);
  const of = (text: string): string => new Date(parseSince(text, now)).toISOString();
  const local = (...at: [number, number, number, number?, number?, number?]): string =>
    new Date(...at).toISOString();
  assert.equal(of('2h'), local(2024, 4, 1, 10, 30));
  assert.equal(of('12:05'), local(2024, 4, 1, 12, 5));
  assert.equal(of('12:31:07'), local(2024, 3, 30, 12, 31, 7), 'which is still to come today');
  assert.equal(of('2024-04-30'), local(2024, 3, 30));
  assert.equal(of('2024-04-30 08:00'), local(2024, 3, 30, 8));
  assert.equal(of('2024-04-30T08:00:00Z'), '2024-04-30T08:00:00.000Z');
  for (const wrong of ['', 'yesterday', '25:00', '2024-13-01', '2h30m', '1714500000'])
    assert.throws(() => parseSince(wrong, now), /Expected a duration/, wrong);
});

test('an event is wanted when all that was asked for holds', () => {
  const event = makeEvent(new Date(), 'warn', 'health', 'Web-1 is down');
  assert.ok(isWanted(event, { level: 'info' }));
  assert.ok(isWanted(event, { level: 'warn', event: ['health'], grep: 'web-1' }));
  assert.ok(isWanted(event, { level: 'info', grep: 'HEALTH' }));
  assert.ok(!isWanted(event, { level: 'error' }));
  assert.ok(!isWanted(event, { level: 'warn', event: ['health'], grep: 'web-2' }));
  assert.ok(!isWanted(event, { level: 'warn', event: ['reload'], grep: 'web-1' }));
});
