/** A backend that a running node is told of: in force at once, also over a restart, and gone without a trace. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import type { PlanReport } from '#anyhop/api/api.js';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask, tell } from '#anyhop/cli/control-client.js';
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
    const socket = join(resources.directory, 'control.sock');
    const anyhop = (...args: string[]): string => {
      const [program = '', ...rest] = inNamespace(node, [
        process.execPath,
        MAIN,
        ...args,
        '--socket',
        socket,
      ]);
      const { status, stdout, stderr } = spawnSync(program, rest, { encoding: 'utf8' });
      assert.deepEqual([status, stderr], [0, ''], args.join(' '));
      return stdout;
    };
    const state = async () => {
      const { pools, overrides } = (await ask(socket, '/status')) as NodeStatus;
      return [
        pools[0]!.backends.map(({ name }) => name).sort(),
        overrides.map(({ backend, member }) => `${backend} ${member}`),
      ];
    };

    const run = await startRun(link, ['-c', file, ...FLAGS]);
    const said = anyhop('backend', 'add', 'web-2', '10.1.0.13', '-p', 'web');
    assert.match(said, /^pool web: in force, .*: web-2 added\nwarning: agents and other /);
    await tell(socket, '/reload', {});
    const withIt = [['web-0', 'web-1', 'web-2'], ['web-2 added']];
    assert.deepEqual(await state(), withIt);
    await run.stop('SIGINT');

    const again = await startRun(link, ['-c', file, ...FLAGS]);
    assert.deepEqual(await state(), withIt);
    const removal = { backend: 'web-2', force: true };
    const plan = (await tell(socket, '/backend/remove', { backend: 'web-2', plan: true })) as PlanReport;
    assert.deepEqual(plan.pools[0]?.changes, ['web-2 state active -> draining']);
    await tell(socket, '/backend/remove', removal);
    assert.deepEqual(await state(), [['web-0', 'web-1'], []]);
    anyhop('backend', 'add', 'web-2', '10.1.0.13', '-p', 'web', '--force', '--write');
    assert.deepEqual(await state(), [['web-0', 'web-1', 'web-2'], []]);
    anyhop('backend', 'remove', 'web-2', '--force', '--write');
    assert.deepEqual(await state(), [['web-0', 'web-1'], []]);
    assert.equal(readFileSync(file, 'utf8'), before);
    await again.stop('SIGINT');
  });
});
