/** `anyhop backend`: what it tells a node, and what `--write` makes of the node's file. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { NodeStatus } from '#anyhop/api/status.js';
import { type FakeNode, fakeNode } from '../api/fake-node.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';
import { anyhop, type Ran } from './client.js';

const TEXT = 'pools:\n  web:\n    backends:\n      - {name: web-1, address: 10.1.0.11} # old\n';

let node: FakeNode;
let directory: string;
beforeEach(async () => {
  node = await fakeNode();
  directory = mkdtempSync(join(tmpdir(), 'ah-backend-'));
});
afterEach(async () => {
  await node.close();
  rmSync(directory, { recursive: true });
});

const run = (...args: string[]): Promise<Ran> => anyhop(['backend', ...args, '--socket', node.socket]);

describe('anyhop backend', () => {
  it('tells the node what was said on the command line', async () => {
    const ran = await run('add', 'web-7', '10.1.0.17', '-p', 'web', '--weight', '2', '--no-agent');
    assert.equal(ran.code, 0, ran.stderr);
    assert.equal((await run('remove', 'web-2', '--plan')).code, 0);
    const entry = { name: 'web-7', address: '10.1.0.17', weight: 2, agent: false };
    assert.deepEqual(node.told, [
      { what: 'edit', edit: { kind: 'add', pool: 'web', entry }, options: { force: false } },
      {
        what: 'plan edit',
        edit: { kind: 'remove', backend: 'web-2', pool: undefined },
        options: { force: false },
      },
    ]);
    assert.equal((await run('add', 'web-7', 'nowhere', '-p', 'web')).code, 2);
  });

  it('writes the file that a link leads to, with its mode, and only where the node has it in force', async () => {
    const [file, link] = [join(directory, 'real.yaml'), join(directory, 'anyhop.yaml')];
    writeFileSync(file, TEXT);
    chmodSync(file, 0o640);
    symlinkSync(file, link);
    node.instead.status = async () =>
      nodeStatus({ config: { file: link, loadedAt: '2024-05-01T12:00:00.000Z' } });
    const { code, stdout, stderr } = await run('add', 'web-2', '10.1.0.12', '-p', 'web', '--write');
    assert.equal(code, 0, stderr);
    assert.match(stdout, /written to .*real\.yaml\n$/);
    assert.equal(readFileSync(link, 'utf8'), `${TEXT}      - {name: web-2, address: 10.1.0.12}\n`);
    assert.equal(statSync(file).mode & 0o777, 0o640);
    const before = node.told.length;
    node.instead.plan = async () => ({
      of: 'reload',
      pools: [],
      changes: ['web: a new service'],
      warnings: [],
    });
    const refused = await run('remove', 'web-2', '--write');
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /is not what the node has in force/);
    assert.equal(node.told.length, before);
  });

  it('with --wait drains a backend, removes it when no connection is left, and ends when it is gone', async () => {
    const until = new Date(Date.now() + 60_000).toISOString();
    const drains = (connections: number): NodeStatus => {
      const drain = { since: until, deadline: until, connections, done: connections === 0 };
      return nodeStatus({
        pools: [poolStatus('web', [backendStatus('web-2', { state: 'draining', drain })])],
      });
    };
    const statuses = [
      drains(1),
      drains(0),
      nodeStatus({ pools: [poolStatus('web', [backendStatus('web-1')])] }),
    ];
    node.instead.status = async () => (statuses.length > 1 ? statuses.shift()! : statuses[0]!);
    node.instead.drain = async (target, options) => {
      node.told.push({ what: 'drain', target, options });
      const inForce = { pool: 'web', effect: 'in_force', changes: [] } as const;
      return { generation: 8, pools: [inForce], changes: [], warnings: [] };
    };
    const { code, stdout, stderr } = await run('remove', 'web-2', '--wait');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^web\/web-2: draining, 1 connection left/);
    assert.match(stdout, /web\/web-2: drained, no connection is left\n/);
    assert.deepEqual(
      node.told.map(({ what }) => what),
      ['drain', 'edit'],
    );
    assert.equal(statuses.length, 1);
    assert.match((await run('remove', 'web-2', '--wait', '--force')).stderr, /cannot be used with/);
  });

  it('with --wait removes nothing when the drain is taken back', async () => {
    node.instead.drain = async () => ({
      generation: 8,
      pools: [{ pool: 'web', effect: 'in_force', changes: [] }],
      changes: [],
      warnings: [],
    });
    node.instead.status = async () => nodeStatus({ pools: [poolStatus('web', [backendStatus('web-2')])] });
    const { code, stdout } = await run('remove', 'web-2', '--wait');
    assert.equal(code, 1);
    assert.match(stdout, /the drain was cancelled\n$/);
    assert.deepEqual(node.told, []);
  });
});
