/** Out of file descriptors: no child process, socket or file that cannot be had ends a command, and all works again when they are back. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inNamespace } from '../../scripts/lab/command.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { flows } from '../engine/contract-frames.js';
import { createXdpLink, LINK } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, MAIN, sendFlows, startRun, writeFleet } from './run-fixture.js';

const TEST_TIMEOUT_MS = 120_000;
const EVENT_TIMEOUT_MS = 20_000;
/** Standard input, output and error alone: whatever a process opens now fails. */
const NONE_LEFT = 3;
const PLENTY = 1024;
/** Long enough for each timer of a node to have come round: health checks, uses of neighbours, drains, rates, counters. */
const WITHOUT_MS = 7_000;
const POOLS = {
  tcp: { kind: 'tcp' },
  http: { kind: 'http' },
  https: { kind: 'https', tls: { verify: false } },
  udp: { kind: 'udp', payload: 'ping' },
  none: { kind: 'none' },
} as const;

describe('without file descriptors', { skip: missingForIsolation('ethtool', 'prlimit') }, () => {
  let link: Awaited<ReturnType<typeof createXdpLink>>;
  beforeEach(async () => {
    link = await createXdpLink();
  });
  afterEach(() => link?.resources.close());

  const socketPath = (): string => join(link.resources.directory, 'control.sock');
  const limit = (run: LabProcess, count: number) =>
    link.onNode('prlimit', '--pid', String(run.pid), `--nofile=${count}:${PLENTY}`);
  const ask = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(socketPath(), () => socket.write('GET /status HTTP/1.1\r\nhost: node\r\n\r\n'));
      socket.on('error', () => resolve()).on('data', () => socket.destroy());
      socket.on('close', () => resolve()).setTimeout(1000, () => socket.destroy());
    });

  for (const engine of ['xdp', 'af_xdp', 'portable']) {
    test(`run with the engine ${engine} goes on forwarding and checking, and takes a reload afterwards`, {
      timeout: TEST_TIMEOUT_MS,
    }, async () => {
      const file = writeFleet(link, { node: { engine, bpffs: link.bpffs }, checks: POOLS });
      const run = await startRun(link, ['-c', file, ...FLAGS]);
      await limit(run, NONE_LEFT);
      await link.onNode('ip', 'addr', 'add', '10.0.0.77/32', 'dev', LINK); // `ip monitor` tells: all tables are read
      process.kill(run.pid, 'SIGHUP');
      for (let i = 0; i < 5; i++) await ask();
      await link.onNode(
        'sh',
        '-c',
        `kill $(ip netns pids ${link.node} | xargs -n1 sh -c 'grep -qs "^ip" /proc/$0/comm && echo $0')`,
      );
      await delay(WITHOUT_MS);
      assert.ok(run.running, run.tail());
      assert.deepEqual(await sendFlows(link, flows(20)), { gre4: 20, gre6: 0 });
      await limit(run, PLENTY);
      await delay(100);
      const reload = spawnSync(process.execPath, [MAIN, 'reload', '--socket', socketPath()], {
        encoding: 'utf8',
      });
      assert.equal(reload.status, 0, `${reload.stderr}${run.tail()}`);
      assert.deepEqual(await run.stop('SIGINT'), { code: 0, signal: null });
    });
  }

  test('a start with too few says so in words, whatever their number', { timeout: TEST_TIMEOUT_MS }, () => {
    const file = writeFleet(link, { node: { engine: 'auto', bpffs: link.bpffs }, checks: POOLS });
    const loads = (count: number) =>
      spawnSync('prlimit', [`--nofile=${count}`, process.execPath, MAIN, 'run', '--help']).status;
    let first = 12; // with fewer than this Node itself cannot load a program
    while (first < 60 && loads(first) !== 0) first++;
    let started = 0;
    for (let count = first + 6; count < 200 && started === 0; count += 6) {
      const [program = '', ...rest] = inNamespace(link.node, [
        ...['prlimit', `--nofile=${count}`, 'timeout', '--signal=INT', '5'],
        ...[process.execPath, MAIN, 'run', '-c', file, ...FLAGS],
      ]);
      const { stderr, status } = spawnSync(program, rest, { encoding: 'utf8', timeout: EVENT_TIMEOUT_MS });
      assert.doesNotMatch(stderr, /internal error|Unhandled|Error:|at .*\.js:\d+/, `${count}: ${stderr}`);
      if (/"event":"ready"/.test(stderr)) started = count;
      else assert.ok(status !== 0, `${count} descriptors: ${stderr}`);
    }
    assert.ok(started > 0, 'no number of descriptors was enough');
  });
});
