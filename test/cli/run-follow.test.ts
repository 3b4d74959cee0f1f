/** What a running node tells those who follow it: what announces the VIPs learns at once of all that takes readiness away. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { FollowLine } from '#anyhop/api/follow.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { inside, takeOff } from '../../scripts/native/attached.js';
import { ask, post } from '../api/fake-node.js';
import { type FollowClient, follow } from '../api/follow-client.js';
import { createXdpLink, LINK } from '../engine/link.js';
import { VIP4, VIP6 } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { ROUTER_MAC } from '../packets/build.js';
import { FLAGS, MAIN, type RunConfig, startRun, writeFleet } from './run-fixture.js';

const TIMEOUT_MS = 60_000;
const START_MS = 30_000;
/** For a line to come after what it tells of. On a busy machine the best of some tries counts. */
const AT_ONCE_MS = 50;
const TRIES = 5;
/** For a process that is gone to be seen as gone, on a busy machine. */
const GONE_MS = 1_000;
const NODE_BACK = [
  `link set ${LINK} up`,
  'route add default via 10.0.0.2',
  `neigh replace 10.0.0.2 lladdr ${ROUTER_MAC} dev ${LINK} nud permanent`,
];

const serves = ({ phase, reasons }: FollowLine): boolean => phase === 'serving' && reasons.length === 0;
const isReady = ({ vips }: FollowLine): boolean =>
  vips.every((vip) => vip.services.every(({ ready }) => ready));

describe('a node that is followed', {
  skip: missingForIsolation('nft', 'ethtool'),
  timeout: 10 * TIMEOUT_MS,
}, () => {
  let link: Awaited<ReturnType<typeof createXdpLink>>;
  let clients: FollowClient[];
  beforeEach(async () => {
    clients = [];
    link = await createXdpLink();
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await link?.resources.close();
  });

  const write = ({ node = {}, ...config }: RunConfig = {}): string =>
    writeFleet(link, { node: { engine: 'xdp', bpffs: link.bpffs, ...node }, ...config });
  const socket = (): string => join(link.resources.directory, 'control.sock');

  async function followed(): Promise<FollowClient> {
    const client = await follow(socket());
    clients.push(client);
    return client;
  }

  async function start(
    config: RunConfig = {},
  ): Promise<{ run: LabProcess; client: FollowClient; file: string }> {
    const file = write(config);
    const run = await startRun(link, ['-c', file, ...FLAGS]);
    return { run, client: await followed(), file };
  }

  /** Follows from the first moment on. */
  async function starting(config: RunConfig): Promise<{ run: LabProcess; client: FollowClient }> {
    const argv = [process.execPath, MAIN, 'run', '-c', write(config), ...FLAGS];
    const run = await link.resources.startProcess('anyhop run', link.node, argv);
    const endMs = performance.now() + START_MS;
    for (;;) {
      try {
        return { run, client: await followed() };
      } catch (error) {
        if (performance.now() > endMs) throw error;
        await delay(2);
      }
    }
  }

  const program = async (): Promise<{ index: number; id: number | undefined }> => {
    const [shown] = JSON.parse(await link.onNode('ip', '-json', '-details', 'link', 'show', 'dev', LINK));
    return { index: shown.ifindex, id: shown.xdp?.prog?.id };
  };

  test('says which program forwards on which interface, where to, and for which services', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { client } = await start();
    const line = await client.line('serving', serves);
    const { index, id } = await program();
    assert.ok(id !== undefined && isReady(line), JSON.stringify(line));
    const { line: _, atMs: __, pid, startedAt, version, ...rest } = line;
    const hop = { interface: { name: LINK, index }, mac: ROUTER_MAC };
    const service = (vip: string) => ({ name: `web-${vip.length}`, pool: 'web', ready: true });
    assert.deepEqual(rest, {
      node: 'edge-1',
      phase: 'serving',
      reasons: [],
      engine: { name: 'xdp', interface: { name: LINK, index }, program: id },
      vips: [VIP4, VIP6].map((vip) => ({ vip, services: [service(vip)] })),
      pools: {
        web: { up: 2, total: 2, hops: ['10.1.0.11', '10.1.0.12'].map((address) => ({ address, ...hop })) },
      },
    });
  });

  test('tells of a drain and of a weight, in which services stay ready', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { client } = await start();
    const hops = ({ pools }: FollowLine): string =>
      pools['web']!.hops.map(({ address }) => address.slice('10.1.0.'.length)).join();
    for (const [path, body, wanted] of [
      ['/drain', { backend: 'web-0' }, '12'],
      ['/undrain', { backend: 'web-0' }, '11,12'],
      ['/weight', { backend: 'web-1', weight: 0, force: true }, '11'],
    ] as const) {
      const before = client.lines.length;
      const { status, text } = await post(socket(), path, body);
      assert.equal(status, 200, text);
      await client.line(`after ${path}`, (line) => hops(line) === wanted, before);
    }
    assert.ok(client.lines.every((line) => serves(line) && isReady(line)));
  });

  test('tells at once that its interface went down, and that it is back', {
    timeout: TIMEOUT_MS,
  }, async (t) => {
    const { client } = await start();
    await client.line('serving', (line) => serves(line) && isReady(line));
    let bestMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < TRIES; i++) {
      const before = client.lines.length;
      await link.onNode('ip', 'link', 'set', LINK, 'down');
      const downMs = performance.now();
      const down = await client.line(
        'down',
        ({ reasons }) => reasons.includes(`interface ${LINK} is down`),
        before,
      );
      assert.ok(down.vips.every(({ services }) => services.every(({ ready }) => !ready)));
      bestMs = Math.min(bestMs, down.atMs - downMs);
      const again = client.lines.length;
      for (const command of NODE_BACK) await link.onNode('ip', ...command.split(' '));
      await client.line('up again', (line) => serves(line) && isReady(line), again);
    }
    t.diagnostic(`told ${bestMs.toFixed(1)} ms after the command`);
    assert.ok(bestMs <= AT_ONCE_MS, `told after ${bestMs} ms at best`);
  });

  test('tells that its program was taken off, and under which number it is back', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { client } = await start();
    const { engine } = await client.line('serving', serves);
    const before = client.lines.length;
    await inside(link.node, () => takeOff(LINK));
    const off = await client.line('off', ({ reasons }) => /taken off/.test(reasons.join()), before);
    const back = await client.line('back', serves, client.lines.length);
    assert.equal(off.engine?.program, engine?.program, 'the same program, on a link anew');
    assert.equal(back.engine?.program, (await program()).id);
  });

  test('tells the number of the program that takes the place of one whose maps are too small', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { client, file } = await start();
    const before = await client.line('serving', serves);
    const config = JSON.parse(readFileSync(file, 'utf8'));
    config.pools.web.backends = Array.from({ length: 200 }, (_, i) => ({
      name: `web-${i}`,
      address: `10.1.0.${11 + i}`,
    }));
    writeFileSync(file, JSON.stringify(config));
    const { status, text } = await post(socket(), '/reload', { force: true });
    assert.equal(status, 200, text);
    const isAnother = ({ engine }: FollowLine): boolean => engine?.program !== before.engine?.program;
    const after = await client.line('another program', isAnother);
    assert.equal(after.engine?.program, (await program()).id);
    await client.line('200 backends', ({ pools }) => pools['web']?.total === 200);
  });

  test('tells when it stops, until when it forwards on, and that the kernel does so afterwards', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { run, client } = await start({ node: { stop_delay: '1s' } });
    const { engine } = await client.line('serving', serves);
    const from = Date.now();
    process.kill(run.pid, 'SIGTERM');
    const stopping = await client.line('stopping', ({ phase }) => phase === 'stopping');
    assert.equal(stopping.stop?.why, 'SIGTERM');
    assert.equal(stopping.stop.forwardsOn, true);
    const until = Date.parse(stopping.stop.until);
    assert.ok(until >= from + 1_000 && until < from + 6_000, stopping.stop.until);
    assert.deepEqual(stopping.reasons, ['the node stops: SIGTERM']);
    assert.ok(stopping.pools['web']?.hops.length === 2);
    const left = await client.line('left', ({ phase }) => phase === 'left');
    assert.ok(Date.now() >= from + 1_000, 'it has waited');
    assert.deepEqual(left.stop, { ...stopping.stop, forwardsOn: true });
    assert.deepEqual(left.engine, engine);
    assert.equal((await client.ended).whole, true);
    assert.equal(client.lines.at(-1)?.phase, 'left');
    assert.deepEqual(await run.exited, { code: 0, signal: null });
    assert.equal((await program()).id, engine?.program);
  });

  test('tells that nothing forwards on after SIGINT', { timeout: TIMEOUT_MS }, async () => {
    const { run, client } = await start();
    process.kill(run.pid, 'SIGINT');
    const left = await client.line('left', ({ phase }) => phase === 'left');
    assert.deepEqual(
      [left.stop?.why, left.stop?.forwardsOn, left.engine?.program],
      ['SIGINT', false, undefined],
    );
    assert.equal((await client.ended).whole, true);
    assert.equal((await program()).id, undefined);
  });

  test('has no program that outlives it on an engine that ends with the process', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { run, client } = await start({ node: { engine: 'portable' } });
    const { engine } = await client.line('serving', serves);
    assert.deepEqual([engine?.name, engine?.program], ['portable', undefined]);
    process.kill(run.pid, 'SIGTERM');
    const left = await client.line('left', ({ phase }) => phase === 'left');
    assert.equal(left.stop?.forwardsOn, false);
  });

  test('is gone at once when it is killed', { timeout: TIMEOUT_MS }, async () => {
    const { run, client } = await start();
    const { engine } = await client.line('serving', serves);
    run.kill();
    await run.exited;
    const killedMs = performance.now();
    const { atMs, whole } = await client.ended;
    assert.equal(whole, false);
    assert.ok(atMs - killedMs < GONE_MS, `${atMs - killedMs} ms`);
    assert.equal(client.lines.at(-1)?.phase, 'serving');
    assert.equal((await program()).id, engine?.program);
  });

  test('tells from the start on what is missing, in the phase starting', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const { client } = await starting({ checks: { slow: { kind: 'tcp', timeout: '150ms' } } });
    const first = client.lines[0] ?? (await client.line('first', () => true));
    assert.equal(first.phase, 'starting');
    assert.ok(first.reasons.length > 0);
    assert.equal(first.engine, undefined);
    assert.deepEqual(first.pools, {});
    assert.deepEqual(
      first.vips.map(({ vip, services }) => [vip, services.map(({ ready }) => ready)]),
      [
        [VIP4, [false, false]],
        [VIP6, [false]],
      ],
    );
    await client.line('serving', serves);
    const phases = new Set(client.lines.map(({ phase }) => phase));
    assert.deepEqual([...phases], ['starting', 'serving']);
  });

  test('says nothing of what goes on when its start is ended', { timeout: TIMEOUT_MS }, async () => {
    const { run, client } = await starting({
      checks: { slow: { kind: 'tcp', interval: '20s', timeout: '15s' } },
    });
    await client.line('starting', ({ phase }) => phase === 'starting');
    process.kill(run.pid, 'SIGTERM');
    assert.equal((await client.ended).whole, true);
    assert.deepEqual([...new Set(client.lines.map(({ phase }) => phase))], ['starting']);
    assert.equal((await ask(socket(), '/ready').catch(() => undefined))?.status, undefined);
  });
});
