/** What the engine xdp pins is found by its interface, whatever that is called; is there as long as it runs; and goes with its interface. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { linkedIndex } from '#anyhop/pins/find.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { flows } from '../engine/contract-frames.js';
import { createLink, createXdpLink, LINK, letXdpArrive } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { FLAGS, runStop, sendFlows, startRun, writeFleet } from './run-fixture.js';

const TIMEOUT_MS = 240_000;
const EVENT_TIMEOUT_MS = 20_000;
const ALL = { gre4: 20, gre6: 0 };
const RENAMED = 'wan0';

describe('the pins of the engine xdp', { skip: missingForIsolation('ethtool') }, () => {
  let link: Awaited<ReturnType<typeof createXdpLink>>;
  let file: string;
  beforeEach(async () => {
    link = await createXdpLink();
    file = writeFleet(link, { node: { engine: 'xdp', bpffs: link.bpffs } });
  });
  afterEach(() => link?.resources.close());

  const start = (name = LINK): Promise<LabProcess> =>
    startRun(link, ['-c', file, ...FLAGS.map((flag) => (flag === LINK ? name : flag))]);
  const stop = (name: string) => runStop(link, '--interface', name, '--bpffs', link.bpffs);
  /** A name can be changed only while the interface is down, which takes its routes. */
  async function rename(from: string, to: string): Promise<void> {
    await link.onNode('ip', 'link', 'set', from, 'down');
    await link.onNode('ip', 'link', 'set', from, 'name', to);
    await link.onNode('ip', 'link', 'set', to, 'up');
    await link.onNode('ip', 'route', 'add', 'default', 'via', '10.0.0.2');
    const { address } = JSON.parse(await link.onPeer('ip', '-json', 'link', 'show', LINK))[0];
    const neighbour = ['lladdr', address, 'dev', to, 'nud', 'permanent'];
    await link.onNode('ip', 'neigh', 'replace', '10.0.0.2', ...neighbour);
  }
  const namespaces = (): string[] => readdirSync(join(link.bpffs, 'anyhop'));

  test('are those of the interface after it is renamed: adopted, and stopped by either name', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await (await start()).stop('SIGTERM');
    await rename(LINK, RENAMED);
    const second = await start(RENAMED);
    assert.ok(
      second.events.some(({ event }) => event === 'adopted'),
      second.tail(),
    );
    assert.deepEqual(await sendFlows(link, flows(20)), ALL);
    await second.stop('SIGTERM');
    const byFormer = stop(LINK);
    assert.match(
      byFormer.stdout,
      /^stopped forwarding on wan0, which was called eth0 before: program \d+/,
      byFormer.stderr,
    );
    assert.deepEqual(
      readdirSync(link.bpffs).filter((name) => name === 'anyhop'),
      [],
    );

    await (await start(RENAMED)).stop('SIGTERM');
    await rename(RENAMED, LINK);
    assert.match(stop(LINK).stdout, /^stopped forwarding on eth0: program \d+/);
    assert.match(stop(RENAMED).stderr, /there is no interface wan0, and nothing is left of one/);
  });

  test('are made again when somebody removes them, at the latest on SIGTERM, and adopted', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const remove = (): void => rmSync(join(link.bpffs, 'anyhop'), { recursive: true });
    const first = await start();
    remove();
    await first.waitForEvent('pinned_again', EVENT_TIMEOUT_MS);
    remove();
    assert.deepEqual(await first.stop('SIGTERM'), { code: 0, signal: null });
    assert.ok(
      first.events.some(({ event }) => event === 'left_forwarding'),
      first.tail(),
    );
    assert.deepEqual(await sendFlows(link, flows(20)), ALL);
    const second = await start();
    assert.ok(
      second.events.some(({ event }) => event === 'adopted'),
      second.tail(),
    );
    await second.stop('SIGINT');
  });

  test('of a network namespace that is gone are swept when another node starts', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const gone = await createLink();
    try {
      await letXdpArrive(gone);
      const theirs = await startRun(gone, [
        '-c',
        writeFleet(gone, { node: { engine: 'xdp', bpffs: link.bpffs } }),
        ...FLAGS,
      ]);
      theirs.kill();
      await theirs.exited;
    } finally {
      await gone.resources.close();
    }
    const [namespace = ''] = namespaces();
    const directory = join(link.bpffs, 'anyhop', namespace, LINK);
    const deadline = Date.now() + EVENT_TIMEOUT_MS;
    while (linkedIndex(directory) !== 0) {
      assert.ok(Date.now() < deadline, 'the interface outlives its namespace');
      await delay(50);
    }
    const run = await start();
    const swept = run.events.find(({ event }) => event === 'swept');
    assert.deepEqual(swept?.['directories'], [directory], run.tail());
    const own = JSON.parse(await link.onNode('stat', '-L', '-c', '%i', '/proc/self/ns/net'));
    assert.deepEqual(namespaces(), [String(own)]);
    assert.notEqual(Number(namespace), statSync('/proc/self/ns/net').ino);
    await run.stop('SIGINT');
  });
});
