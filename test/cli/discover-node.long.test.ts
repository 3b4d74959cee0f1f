/** A node of its own whose backends come from a file: it starts without any in its config, follows the file, and remembers over a restart. */
import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { parse, stringify } from 'yaml';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask, tell } from '#anyhop/cli/control-client.js';
import { createLink, type NodeLink } from '../engine/link.js';
import { until } from '../fleet/fleet.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, startRun, writeFleet } from './run-fixture.js';

describe('a node whose backends come from a file', {
  skip: missingForIsolation('nft', 'ethtool'),
  timeout: 120_000,
}, () => {
  let link: NodeLink | undefined;
  afterEach(() => link?.resources.close());

  test('starts without any in its config, follows the file, and remembers over a restart', async () => {
    link = await createLink();
    const { directory } = link.resources;
    const list = join(directory, 'web.json');
    const write = (...numbers: number[]): void => {
      writeFileSync(
        `${list}.new`,
        JSON.stringify(numbers.map((n) => ({ name: `web-${n}`, address: `10.1.0.1${n}` }))),
      );
      renameSync(`${list}.new`, list);
    };
    const file = writeFleet(link);
    const config = parse(readFileSync(file, 'utf8'));
    config.pools.web = {
      settle_time: '1s',
      drain_deadline: '1s',
      backends_from: { file: list, allowed_addresses: ['10.1.0.0/16'], debounce: '100ms' },
    };
    const text = stringify(config);
    writeFileSync(file, text);
    const socket = join(directory, 'control.sock');
    const status = async () => (await ask(socket, '/status')) as NodeStatus;
    const backends = async () =>
      (await status()).pools[0]!.backends.map(({ name, state }) =>
        state === 'active' ? name : `${name} ${state}`,
      ).sort();
    const become = (...names: string[]) =>
      until(names.join(), async () => (await backends()).join() === names.join());

    write(1, 2, 3);
    const run = await startRun(link, ['-c', file, ...FLAGS]);
    await become('web-1', 'web-2', 'web-3');
    write(2, 3, 4);
    await become('web-2', 'web-3', 'web-4');
    await assert.rejects(
      tell(socket, '/backend/remove', { backend: 'web-2' }),
      /takes its backends from a source/,
    );
    await tell(socket, '/reload', {});
    await become('web-2', 'web-3', 'web-4');
    write(2);
    await until('the alarm', async () => (await status()).discovery?.[0]?.alarm?.kind === 'too_few');
    await run.stop('SIGINT');

    renameSync(list, `${list}.gone`);
    const again = await startRun(link, ['-c', file, ...FLAGS]);
    await become('web-2', 'web-3', 'web-4');
    await until('the alarm', async () => (await status()).discovery?.[0]?.alarm?.kind === 'no_answer');
    assert.equal(readFileSync(file, 'utf8'), text);
    await again.stop('SIGINT');
  });
});
