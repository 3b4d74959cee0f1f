/** `anyhop status` against a node that forwards: what it says, for machines and for people, and what it says of none. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { NodeStatus } from '#anyhop/api/status.js';
import type { FleetView } from '#anyhop/view/fleet.js';
import { flows } from '../engine/contract-frames.js';
import { createLink, type NodeLink } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, MAIN, sendFlows, startRun, writeFleet } from './run-fixture.js';

const NEWS_TIMEOUT_MS = 15_000;

function status(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, 'status', ...args], { encoding: 'utf8', timeout: 10_000 });
}

describe('anyhop status', () => {
  test('says that no node answers, where it asked, and ends with exit code 1', () => {
    const missing = status('--socket', '/nonexistent/x.sock');
    assert.equal(missing.status, 1);
    assert.match(missing.stderr, /\/nonexistent\/x\.sock: it does not exist[\s\S]*is the node running/);
    assert.equal(missing.stdout, '');
  });

  test('refuses to watch more often than ten times a second', () => {
    const { status: code, stderr } = status('--watch', '0');
    assert.equal(code, 2);
    assert.match(stderr, /0\.1 to 3600/);
  });
});

describe('anyhop status of a running node', { skip: missingForIsolation('nft', 'ethtool') }, () => {
  let link: NodeLink | undefined;
  afterEach(() => link?.resources.close());

  /** The node's status once `ready` says that it is what is waited for. */
  const eventually = async (socket: string, ready: (status: NodeStatus) => boolean): Promise<NodeStatus> => {
    const deadline = performance.now() + NEWS_TIMEOUT_MS;
    for (;;) {
      const { stdout, stderr } = status('--socket', socket, '--json');
      assert.equal(stderr, '');
      const read: NodeStatus = JSON.parse(stdout);
      if (ready(read)) return read;
      assert.ok(performance.now() < deadline, `still: ${stdout}`);
      await delay(100);
    }
  };

  test('has engine, image, services, backends with next hops, verdicts, and counters that rise', async () => {
    link = await createLink();
    const socket = join(link.resources.directory, 'edge.sock');
    const file = writeFleet(link, { node: { socket, engine: 'portable' } });
    const run = await startRun(link, ['-c', file, ...FLAGS]);
    assert.equal(statSync(socket).mode & 0o777, 0o660);
    await sendFlows(link, flows(20));
    const seen = await eventually(socket, ({ verdicts }) => verdicts['forwarded']?.packets === 20);
    assert.deepEqual(
      [seen.node, seen.interface, seen.engine.name, seen.image.generation],
      ['edge-1', 'eth0', 'portable', 1],
    );
    assert.equal(seen.engine.counters.received, 20);
    const total = (of: readonly { packets: number }[]): number =>
      of.reduce((sum, { packets }) => sum + packets, 0);
    assert.equal(total(seen.services), 20);
    const [{ backends, digests, mode }] = seen.pools;
    assert.equal(total(backends), 20);
    assert.equal(mode, 'normal');
    assert.match(digests.owners, /^[0-9a-f]{64}$/);
    assert.deepEqual(
      backends.map(({ name, health, state }) => ({ name, health, state })),
      ['web-0', 'web-1'].map((name) => ({ name, health: 'up', state: 'active' })),
    );
    const top = spawnSync(process.execPath, [MAIN, 'top', '--json', '--socket', socket], {
      encoding: 'utf8',
    });
    assert.equal(top.stderr, '', 'a status is of the shape that top reads');
    const view: FleetView = JSON.parse(top.stdout);
    assert.equal(total(view.services), 20);
    assert.equal(total(view.backends), 20);
    assert.deepEqual(view.summary.backends, { total: 2, up: 2, draining: 0, down: 0 });
    assert.equal(
      backends.reduce((sum, { slots }) => sum + slots, 0),
      65537,
    );
    for (const { nextHop } of backends) assert.ok('mtu' in nextHop && nextHop.interface === 'eth0');

    const text = status('--socket', socket);
    assert.equal(text.status, 0);
    assert.match(text.stdout, /^node +edge-1 on eth0/);
    assert.match(text.stdout, /^forwarded +20 /m);
    assert.match(text.stdout, /^pool web: 2 of 2 backends up/m);

    await run.stop();
    assert.equal(existsSync(socket), false);
  });

  test('shows a backend that no route leads to at the start as down, and the log has it as a warning', async () => {
    link = await createLink();
    const socket = join(link.resources.directory, 'edge.sock');
    await link.onNode('ip', 'route', 'add', 'unreachable', '10.1.0.12/32');
    const file = writeFleet(link, { node: { socket } });
    const run = await startRun(link, ['-c', file, ...FLAGS]);
    const { pools } = await eventually(socket, () => true);
    assert.deepEqual(
      pools[0].backends.map(({ health, slots }) => [health, slots]),
      [
        ['up', 65537],
        ['down', 0],
      ],
    );
    assert.match(JSON.stringify(run.events), /web\/web-1 .*10\.1\.0\.12.*counts as down/);
    await run.stop();
  });

  test('shows a backend that lost its next hop as down, with the reason, and the tables without it', async () => {
    link = await createLink();
    const socket = join(link.resources.directory, 'edge.sock');
    const file = writeFleet(link, { node: { socket, engine: 'portable' } });
    const run = await startRun(link, ['-c', file, ...FLAGS]);
    const before = await eventually(socket, () => true);
    await link.onNode('ip', 'route', 'add', 'unreachable', '10.1.0.11/32');
    const down = await eventually(socket, ({ pools }) => pools[0].backends[0].health === 'down');
    const [lost, other] = down.pools[0].backends;
    assert.ok('missing' in lost.nextHop && /unreachable/.test(lost.nextHop.missing));
    const changed = await eventually(socket, ({ image }) => image.generation > before.image.generation);
    assert.equal(changed.pools[0].backends[0].slots, 0);
    assert.equal(other.health, 'up');
    assert.notEqual(changed.pools[0].digests.owners, before.pools[0].digests.owners);
    await link.onNode('ip', 'route', 'del', 'unreachable', '10.1.0.11/32');
    const back = await eventually(
      socket,
      ({ pools }) => pools[0].digests.owners === before.pools[0].digests.owners,
    );
    assert.equal(back.pools[0].backends[0].health, 'up');
    await run.stop();
    const told = run.events.map(({ event }) => event);
    assert.equal(told.filter((event) => event === 'published').length, 2);
  });
});
