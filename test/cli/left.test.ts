/** A node whose process has ended while the kernel forwards on: what `anyhop status` and `anyhop events` say of it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import type { LeftStatus } from '#anyhop/cli/left-status.js';
import { inNamespace } from '../../scripts/lab/command.js';
import { flows } from '../engine/contract-frames.js';
import { createXdpLink, LINK } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, MAIN, sendFlows, startRun, writeFleet } from './run-fixture.js';

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

test('status reads the pins, and events the files, of a node whose process has ended', {
  skip: missingForIsolation('ethtool'),
  timeout: 240_000,
}, async () => {
  const link = await createXdpLink();
  try {
    const socket = join(link.resources.directory, 'edge.sock');
    const state = join(link.resources.directory, 'state');
    const file = writeFleet(link, { node: { engine: 'xdp', bpffs: link.bpffs, socket, state_dir: state } });
    const anyhop = (...args: string[]): Promise<Ran> => {
      const [program = '', ...rest] = inNamespace(link.node, [process.execPath, MAIN, ...args]);
      const env = { ...process.env, ANYHOP_STATE_DIR: state };
      return new Promise((resolve) => {
        execFile(program, rest, { timeout: 30_000, env }, (error, stdout, stderr) =>
          resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr }),
        );
      });
    };
    const left = async (at = socket): Promise<LeftStatus> => {
      const place = ['--socket', at, '--bpffs', link.bpffs];
      const { stdout, stderr, status } = await anyhop('status', ...place, '--json');
      assert.equal(status, 1, stderr);
      return JSON.parse(stdout);
    };

    const first = await startRun(link, ['-c', file, ...FLAGS]);
    // Its process is there, but is asked at another place.
    const [elsewhere] = await Promise.all([left('/nonexistent/edge.sock'), sendFlows(link, flows(20))]);
    assert.deepEqual(elsewhere.process, { pid: first.pid });
    await first.stop('SIGTERM');

    await sendFlows(link, flows(20));
    const [status, text, events] = await Promise.all([
      left(),
      anyhop('status', '--socket', socket, '--bpffs', link.bpffs),
      anyhop('events', '--socket', socket, '--event', 'ready,process_ended'),
    ]);
    assert.equal(status.process, null);
    assert.deepEqual([status.interface, status.engine.mode], [LINK, 'native XDP']);
    assert.deepEqual([status.last?.node, status.last?.event], ['edge-1', 'process_ended']);
    assert.deepEqual(status.verdicts['forwarded'], { packets: 40, packetsPerSecond: 0 });
    assert.deepEqual(
      status.services.map(({ name, pool, protocol, portFirst }) => [name, pool, protocol, portFirst]),
      [
        ['web-12', 'web', 'tcp', 80],
        ['web-16', 'web', 'tcp', 80],
      ],
    );
    const sum = (list: readonly { readonly packets: number }[]): number =>
      list.reduce((total, { packets }) => total + packets, 0);
    assert.deepEqual([sum(status.services), sum(status.backends)], [40, 40]);
    assert.deepEqual(
      status.backends.map(({ pool, name, address }) => [pool, name, address]),
      [
        ['web', 'web-0', '10.1.0.11'],
        ['web', 'web-1', '10.1.0.12'],
      ],
    );

    for (const { interfaceIndex } of status.backends)
      assert.ok(interfaceIndex > 0, 'there is no interface 0');

    assert.match(text.stdout, /^NO PROCESS {2}nobody is in charge/);
    assert.match(text.stdout, /^last event {2}of edge-1, at [\d:]+: process \d+ ends$/m);
    assert.match(text.stdout, /^forwarded {2,}40/m);

    assert.equal(events.status, 0, events.stderr);
    assert.match(events.stdout, /ready: edge-1 forwards on eth0\n.*process \d+ ends\n$/);
    assert.match(events.stderr, /no node answers/);
  } finally {
    await link.resources.close();
  }
});
