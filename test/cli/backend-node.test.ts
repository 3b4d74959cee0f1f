/** A backend that a running node is told of: in force at once, also over a restart, and gone without a trace. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import type { NodeStatus } from '#anyhop/api/status.js';
import { inNamespace } from '../../scripts/lab/command.js';
import { createLink, type NodeLink } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, MAIN, startRun, writeFleet } from './run-fixture.js';

describe('a backend that is added to a running node', { skip: missingForIsolation('nft', 'ethtool') }, () => {
  let link: NodeLink | undefined;
  afterEach(() => link?.resources.close());

  test('is in force until it is removed, also over a restart', async () => {
    link = await createLink();
    const { resources, node } = link;
    const file = writeFleet(link);
    const before = readFileSync(file, 'utf8');
    const anyhop = (...args: string[]): string => {
      const place = ['--socket', join(resources.directory, 'control.sock')];
      const [program = '', ...rest] = inNamespace(node, [process.execPath, MAIN, ...args, ...place]);
      const { status, stdout, stderr } = spawnSync(program, rest, { encoding: 'utf8' });
      assert.deepEqual([status, stderr], [0, ''], args.join(' '));
      return stdout;
    };
    const members = (): string[] => {
      const { pools } = JSON.parse(anyhop('status', '--json')) as NodeStatus;
      return pools[0]!.backends.map(({ name }) => name).sort();
    };

    const run = await startRun(link, ['-c', file, ...FLAGS]);
    const said = anyhop('backend', 'add', 'web-2', '10.1.0.13', '-p', 'web');
    assert.match(said, /^pool web: in force, .*: web-2 added\nwarning: agents and other /);
    assert.match(anyhop('status'), /^web\/web-2: added at runtime, at /m);
    anyhop('reload');
    assert.deepEqual(members(), ['web-0', 'web-1', 'web-2']);
    await run.stop('SIGINT');

    const again = await startRun(link, ['-c', file, ...FLAGS]);
    assert.deepEqual(members(), ['web-0', 'web-1', 'web-2']);
    assert.match(anyhop('backend', 'remove', 'web-2', '--plan'), /state active -> draining/);
    assert.match(anyhop('backend', 'remove', 'web-2', '--force'), /web-2 removed/);
    anyhop('backend', 'add', 'web-2', '10.1.0.13', '-p', 'web', '--force', '--write');
    assert.deepEqual(members(), ['web-0', 'web-1', 'web-2']);
    anyhop('backend', 'remove', 'web-2', '--force', '--write');
    assert.deepEqual(members(), ['web-0', 'web-1']);
    assert.equal(readFileSync(file, 'utf8'), before);
    assert.doesNotMatch(anyhop('status'), /at runtime/);
    await again.stop('SIGINT');
  });
});
