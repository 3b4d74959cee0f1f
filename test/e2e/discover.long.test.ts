/** Backends from a source, in a fleet of real forwarders and agents: one node of several asks, and all have the same. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NodeStatus } from '#anyhop/api/status.js';
import { ask } from '#anyhop/cli/control-client.js';
import { inNamespace } from '../../scripts/lab/command.js';
import { fourMixes, type LabService } from '../../scripts/lab/config.js';
import { createLabFleet, type LabFleet } from '../../scripts/lab/fleet.js';
import { createLab, type Lab, missingForLab, PROGRAM } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { backendAddresses } from '../../scripts/lab/topology.js';
import { until } from '../fleet/fleet.js';

const TIMEOUT_MS = 300_000;
const WAIT_MS = 40_000;
const POOL = 'v4-over-v4';
const BACKENDS = [1, 2, 3, 4].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));

describe('a fleet whose backends come from a source', {
  skip: missingForLab(['etcd', 'etcdctl'])?.message ?? false,
  timeout: TIMEOUT_MS,
}, () => {
  let lab: Lab;
  let fleet: LabFleet;
  let lists: string;
  let api: string;
  const forwarders: (LabProcess | undefined)[] = [];

  before(async () => {
    const [service] = fourMixes(BACKENDS) as [LabService];
    lab = await createLab({
      forwarders: 2,
      backends: 4,
      engine: 'xdp',
      services: [{ ...service, secondChance: 'on' }],
      pool: { settle_time: '1s', drain_deadline: '2s' },
    });
    fleet = await createLabFleet(lab);
    lists = join(dirname(fleet.file), 'web.d');
    mkdirSync(lists);
    api = join(dirname(fleet.file), 'api.json');
    for (const index of [0, 1]) forwarders.push(await fleet.startForwarder(index, { until: 'fleet_waits' }));
    for (const index of [0, 1, 2, 3]) await fleet.startAgent(index, { until: 'fleet_waits' });
  });
  after(() => lab?.close());

  function write(...numbers: number[]): void {
    const path = join(lists, 'web.json');
    const list = numbers.map((n) => ({ name: `web-${n}`, address: BACKENDS[n - 1]!.host4 }));
    writeFileSync(`${path}.new`, JSON.stringify(list));
    renameSync(`${path}.new`, path);
  }

  const servers = (...numbers: number[]) =>
    numbers.map((n) => ({ name: `api-${n}`, address: `10.9.0.${n}`, port: 8080 }));

  /** Also while a member is not ready, which is its exit code. */
  const fleetStatus = (): string => {
    const file = join(dirname(fleet.file), 'store.yaml');
    const [program = '', ...args] = inNamespace(fleet.store.namespace, [
      process.execPath,
      PROGRAM,
      ...['fleet', 'status', '-c', file],
    ]);
    return spawnSync(program, args, { encoding: 'utf8' }).stdout;
  };
  const status = async (index: number) =>
    (await ask(join(dirname(fleet.file), `edge-${index + 1}.sock`), '/status')) as NodeStatus;
  const backends = async (index: number) =>
    (await status(index)).pools[0]!.backends.map(({ name, state }) =>
      state === 'active' ? name : `${name} ${state}`,
    ).sort();
  const becomes = async (...names: string[]): Promise<void> => {
    const running = forwarders.flatMap((each, index) => (each === undefined ? [] : [index]));
    await until(
      names.join(', '),
      async () => (await Promise.all(running.map(backends))).every((each) => each.join() === names.join()),
      WAIT_MS,
    ).catch(async (error: Error) => {
      const said = await Promise.all(running.map(async (index) => (await status(index)).discovery));
      throw new Error(`${error.message}\n${fleetStatus()}\n${JSON.stringify(said)}`);
    });
  };

  test('is told which lines to add, and keeps the backends in force for a file without them', async () => {
    write(1, 2, 3);
    writeFileSync(api, JSON.stringify(servers(1, 2, 3)));
    fleet.change((config) => {
      const { pools, services } = config;
      pools[POOL].backends = pools[POOL].backends.slice(0, 3);
      pools[POOL].backends_from = { file: lists, allowed_addresses: ['10.0.0.0/8'], debounce: '100ms' };
      config.l7 = {
        drain_deadline: '1s',
        frontends: { web: { services: [services[0].name], routes: [{ to: 'api' }] } },
        upstreams: {
          api: { servers_from: { file: api, allowed_addresses: ['10.9.0.0/16'], debounce: '100ms' } },
        },
      };
      config.l7.upstreams.api.servers = servers(1, 2, 3);
    });
    await fleet.anyhop(['fleet', 'apply', fleet.file]);
    const line = /discover:\n {2}keys:\n {4}edge-1: "(.{44})"\n {4}edge-2: "(.{44})"/;
    await until('the keys', () => line.test(fleetStatus()), WAIT_MS);
    const [, one, two] = line.exec(fleetStatus())!;
    fleet.change((config) => {
      delete config.pools[POOL].backends;
      delete config.l7.upstreams.api.servers;
      config.discover = { keys: { 'edge-1': one, 'edge-2': two } };
    });
    assert.match(
      await fleet.anyhop(['fleet', 'apply', fleet.file]),
      /^pool v4-over-v4: its 3 backends stay, since a source fills it \(backends_from\)\nupstream api: its 3 servers stay/,
    );
    await becomes('web-1', 'web-2', 'web-3');
  });

  test('takes a new backend everywhere, and drains one that is gone before it goes', async () => {
    write(1, 2, 3, 4);
    await becomes('web-1', 'web-2', 'web-3', 'web-4');
    write(2, 3, 4);
    await becomes('web-1 draining', 'web-2', 'web-3', 'web-4');
    await becomes('web-2', 'web-3', 'web-4');
    assert.match(await fleet.anyhop(['fleet', 'log']), /found by discovery/);
  });

  test('takes the servers of an upstream too, and drains one that is gone before it goes', async () => {
    const inForce = async (): Promise<string> => fleet.anyhop(['fleet', 'export']);
    writeFileSync(api, JSON.stringify(servers(2, 3, 4)));
    await until(
      'the new one',
      async () => /name: api-4, address: 10\.9\.0\.4, port: 8080 \}/.test(await inForce()),
      WAIT_MS,
    );
    assert.match(
      await fleet.anyhop(['fleet', 'log']),
      /upstream api: api-1 drains, upstream api: api-4 joins/,
    );
    await until('the end of the drain', async () => !(await inForce()).includes('api-1'), WAIT_MS);
    assert.match(fleetStatus(), /upstream api, .*api\.json: 3 servers at /);
  });

  test('refuses to add and remove by hand, and keeps a drain of the operator', async () => {
    await assert.rejects(
      fleet.anyhop(['backend', 'remove', 'web-2', '--force']),
      /takes its backends from a source \(backends_from\)/,
    );
    await fleet.anyhop(['drain', 'web-2']);
    write(1, 2, 3, 4);
    await becomes('web-1', 'web-2 draining', 'web-3', 'web-4');
    await fleet.anyhop(['undrain', 'web-2']);
    await becomes('web-1', 'web-2', 'web-3', 'web-4');
  });

  test('goes on with another node when the one that asks is gone, and says what it does not follow', async () => {
    const statuses = await Promise.all([0, 1].map(status));
    const elected = statuses.findIndex(({ discovery }) => discovery !== undefined);
    assert.deepEqual(statuses.map(({ discovery }) => discovery === undefined).sort(), [false, true]);
    await forwarders[elected]!.stop('SIGKILL');
    forwarders[elected] = undefined;
    const other = 1 - elected;
    await until('another one', async () => (await status(other)).discovery !== undefined, WAIT_MS);
    write(1, 2, 3);
    await becomes('web-1', 'web-2', 'web-3');
    write();
    await until(
      'the alarm',
      async () => (await status(other)).discovery?.[0]?.alarm?.kind === 'empty',
      WAIT_MS,
    );
    await until(
      'the word of it',
      () => /NOT FOLLOWED +since .*: it names no backend/.test(fleetStatus()),
      WAIT_MS,
    );
    assert.deepEqual(await backends(other), ['web-1', 'web-2', 'web-3']);
  });
});
