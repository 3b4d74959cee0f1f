/** A log that cannot be written ends nothing: a node forwards without it, and says afterwards how much of it is missing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { run as runProgram } from '../../scripts/lab/command.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { flows } from '../engine/contract-frames.js';
import { createXdpLink } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, MAIN, sendFlows, writeFleet } from './run-fixture.js';

const START_TIMEOUT_MS = 20_000;
const TEST_TIMEOUT_MS = 60_000;
const ALL = { gre4: 20, gre6: 0 };

test('a command whose output cannot be written says so in one line', () => {
  for (const args of [
    ['schema'],
    ['check', '-c', 'test/config/full.yaml'],
    ['--help'],
    ['completion', 'bash'],
  ]) {
    const line = `"$0" "$@" >/dev/full`;
    const { status, stderr } = spawnSync('sh', ['-c', line, process.execPath, MAIN, ...args], {
      encoding: 'utf8',
    });
    assert.equal(status, 1, args.join(' '));
    assert.match(stderr, /^anyhop: standard output cannot be written: no space left on device\n$/);
  }
});

test('an exit code is the same with nobody to read the message', () => {
  for (const to of ['2>/dev/full', '2>&-', '>&- 2>&-']) {
    const line = `"$0" "$@" ${to}`;
    const { status } = spawnSync('sh', [
      '-c',
      line,
      process.execPath,
      MAIN,
      'check',
      '-c',
      '/nonexistent.yaml',
    ]);
    assert.equal(status, 2, to);
  }
});

describe('anyhop run without a log', { skip: missingForIsolation('ethtool', 'mount') }, () => {
  let link: Awaited<ReturnType<typeof createXdpLink>>;
  beforeEach(async () => {
    link = await createXdpLink();
  });
  afterEach(() => link?.resources.close());

  const socket = (): string => join(link.resources.directory, 'control.sock');
  const ask = (...args: string[]) =>
    spawnSync(process.execPath, [MAIN, ...args, '--socket', socket()], { encoding: 'utf8' });
  async function start(engine: string, redirection: string): Promise<LabProcess> {
    const file = writeFleet(link, { node: { engine, bpffs: link.bpffs } });
    const shell = ['sh', '-c', `exec "$@" ${redirection}`, 'sh'];
    const argv = [...shell, process.execPath, MAIN, 'run', '-c', file, ...FLAGS];
    const run = await link.resources.startProcess('anyhop run', link.node, argv);
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (ask('ready').status !== 0) {
      assert.ok(run.running && Date.now() < deadline, run.tail());
      await delay(50);
    }
    return run;
  }

  for (const engine of ['xdp', 'af_xdp', 'portable']) {
    test(`${engine} forwards, and the status counts the lines that are missing`, {
      timeout: TEST_TIMEOUT_MS,
    }, async () => {
      const run = await start(engine, '2>/dev/full');
      process.kill(run.pid, 'SIGHUP');
      assert.deepEqual(await sendFlows(link, flows(20)), ALL);
      const { log } = JSON.parse(ask('status', '--json').stdout);
      assert.equal(log.why, 'no space left on device');
      assert.ok(log.lost >= 3, JSON.stringify(log));
      assert.match(ask('status').stdout, /LOG +\d+ lines could not be written: no space left on device/);
      assert.deepEqual(await run.stop('SIGINT'), { code: 0, signal: null });
    });
  }

  test('a reader that goes away ends nothing either', { timeout: TEST_TIMEOUT_MS }, async () => {
    const run = await start('portable', '2>&1 >/dev/null | head -c 1 >/dev/null');
    // The shell's pipe: the process itself is not the shell's, so it is found by the control socket.
    const { pid } = JSON.parse(ask('status', '--json').stdout);
    process.kill(pid, 'SIGHUP');
    assert.deepEqual(await sendFlows(link, flows(20)), ALL);
    assert.equal(JSON.parse(ask('status', '--json').stdout).log.why, 'its reader has gone');
    process.kill(pid, 'SIGINT');
    await run.exited;
    assert.ok(!existsSync(socket()));
  });

  test('on a disk that was full, the log says what is missing as soon as it can, each line whole', {
    timeout: TEST_TIMEOUT_MS,
  }, async () => {
    const disk = join(link.resources.directory, 'disk');
    mkdirSync(disk);
    await runProgram(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    try {
      const [log, ballast] = [join(disk, 'log'), join(disk, 'ballast')];
      const run = await start('portable', `2>>${log}`);
      spawnSync('sh', ['-c', `cat /dev/zero >${ballast}`]);
      const size = (): number => readFileSync(log).length;
      for (let before = -1; before !== size(); ) {
        before = size();
        process.kill(run.pid, 'SIGHUP');
        await delay(1000); // what was not written of one reload must be lost before the next
      }
      writeFileSync(ballast, '');
      process.kill(run.pid, 'SIGHUP');
      await delay(500);
      const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
      const events = lines.flatMap((line) => {
        try {
          return [JSON.parse(line)];
        } catch {
          return [];
        }
      });
      const at = events.findIndex(({ event }) => event === 'log_lost');
      assert.ok(at > 0, lines.join('\n'));
      assert.ok(events[at].lines >= 1 && events[at].why === 'no space left on device');
      assert.match(
        events[at].msg,
        /lines? before this one could not be written to the log: no space left on device/,
      );
      assert.ok(events.length >= lines.length - 1, 'one line at most was cut short');
      assert.equal(events[at + 1]?.event, 'reload');
      await run.stop('SIGINT');
    } finally {
      await runProgram(['umount', disk]);
    }
  });
});
