/** `anyhop announce` beside a node with the engine xdp: when its rows come, stay and go. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createXdpLink, LINK } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { ANNOUNCED, Announcing, DRAINING, NONE, SOON_MS, TABLE } from './run-fixture.js';

const ORPHAN = { announce: { orphan_time: '60s' } };
/** Of what the documentation states, on a machine that does much else at the same time. */
const GONE_MS = 5_000;

describe('anyhop announce, the engine xdp', { skip: missingForIsolation('ethtool') }, () => {
  let lab: Announcing;
  beforeEach(async () => {
    lab = new Announcing(await createXdpLink(), ORPHAN);
  });
  afterEach(() => lab?.link.resources.close());

  /** A node that is announced, and its announcer. */
  async function announced() {
    const node = await lab.startNode();
    const announcer = await lab.startAnnouncer();
    await lab.waitForRows(ANNOUNCED);
    return { node, announcer };
  }

  /** The same, and the node has been killed: the kernel forwards on. */
  async function orphaned() {
    const { node, announcer } = await announced();
    node.kill();
    await announcer.waitForEvent('orphaned', SOON_MS);
    assert.deepEqual(await lab.rows(), ANNOUNCED); // that they stay so, some tests show
    return announcer;
  }

  const lastWithdrawal = (announcer: { events: readonly { event?: string; msg?: unknown }[] }): string =>
    String(announcer.events.findLast(({ event }) => event === 'withdrawn')?.msg);

  test('announces both families when the node has been ready for the rise time, and says so', async () => {
    const announcer = await lab.startAnnouncer();
    assert.deepEqual(await lab.rows(), NONE);
    assert.equal(lab.status().heard.state, 'gone');
    const { status, stdout } = lab.command('--status');
    assert.equal(status, 0);
    assert.match(stdout, /the node does not answer since .*there is no such socket/);
    await lab.startNode();
    await lab.waitForRows(ANNOUNCED);
    const event = await announcer.waitForEvent('announced', SOON_MS);
    assert.equal(event['reason'], 'ready');
    await announcer.stop('SIGTERM');
    const kept = lab.anyhop(
      'events',
      '--state-dir',
      lab.link.resources.directory,
      '--name',
      'edge-1-announce',
    );
    assert.match(kept.stdout, /process_started.* announced .*stopping.*process_ended/s, kept.stderr);
    await lab.startAnnouncer();
    const { heard, vips, table } = lab.status();
    assert.equal(heard.state, 'serving');
    assert.equal(table, TABLE);
    assert.deepEqual(
      vips.map(({ state, metric }) => [state, metric]),
      [
        ['announced', 100],
        ['announced', 100],
      ],
    );
  });

  test('keeps the rows of a node that was killed for orphan_time, and no longer', async () => {
    lab.file = lab.write({ announce: { orphan_time: '7s' } });
    const { node, announcer } = await announced();
    node.kill();
    await delay(1500);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
    assert.ok(lab.status().orphan !== undefined);
    await lab.waitForRows(NONE);
    assert.match(lastWithdrawal(announcer), /no process for 7s \(announce\.orphan_time\)/);
    // It comes back when a process serves again.
    await lab.startNode();
    await lab.waitForRows(ANNOUNCED);
  });

  test('withdraws an orphan whose link goes down', async () => {
    const announcer = await orphaned();
    await lab.link.onPeer('ip', 'link', 'set', LINK, 'down');
    await lab.waitForRows(NONE, GONE_MS);
    assert.match(lastWithdrawal(announcer), /interface eth0 has no carrier/);
    // Nothing is newly announced without a process.
    await lab.link.onPeer('ip', 'link', 'set', LINK, 'up');
    await delay(1500);
    assert.deepEqual(await lab.rows(), NONE);
    assert.match(lab.status().vips[0]!.reason, /interface eth0 has no carrier/);
  });

  test('withdraws an orphan whose program is gone', async () => {
    const announcer = await orphaned();
    rmSync(join(lab.link.bpffs, 'anyhop'), { recursive: true });
    await lab.waitForRows(NONE, GONE_MS);
    assert.match(lastWithdrawal(announcer), /the XDP program \d+ is gone from the interface/);
  });

  test('withdraws an orphan whose gateway has another MAC address', async () => {
    const announcer = await orphaned();
    await lab.link.onNode(
      'ip',
      'neigh',
      'replace',
      '10.0.0.2',
      'lladdr',
      '02:00:00:00:00:99',
      'dev',
      LINK,
      'nud',
      'permanent',
    );
    await lab.waitForRows(NONE, GONE_MS);
    assert.match(lastWithdrawal(announcer), /the next hop of every backend has changed/);
  });

  test('withdraws an orphan whose route to the backends is gone', async () => {
    const announcer = await orphaned();
    await lab.link.onNode('ip', 'route', 'del', 'default');
    await lab.waitForRows(NONE, GONE_MS);
    assert.match(lastWithdrawal(announcer), /the next hop of every backend has changed/);
  });

  test('keeps an orphan whose gateway has to be found out anew, and has not changed', async () => {
    const announcer = await orphaned();
    // The peer answers ARP.
    await lab.link.onNode('ip', 'neigh', 'del', '10.0.0.2', 'dev', LINK);
    await delay(3000);
    assert.deepEqual(await lab.rows(), ANNOUNCED, lastWithdrawal(announcer));
  });

  test('keeps an orphan whose interface is renamed', async () => {
    await orphaned();
    await delay(1500);
    await lab.link.onNode('ip', 'link', 'set', LINK, 'name', 'uplink');
    await delay(2500);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
  });

  test('drains for stop_delay, then withdraws', async () => {
    lab.file = lab.write({ node: { stop_delay: '6s' } });
    const { node, announcer } = await announced();
    const stopped = node.stop('SIGTERM', SOON_MS);
    await lab.waitForRows(DRAINING, 2000);
    assert.equal(lab.status().heard.state, 'stopping');
    await lab.waitForRows(NONE);
    await stopped;
    assert.deepEqual(await lab.rows(), NONE);
    assert.match(lastWithdrawal(announcer), /node\.stop_delay is over/);
  });

  test('never withdraws in a restart of the node that hands over', async () => {
    const { node } = await announced();
    const monitor = await lab.watchRows();
    await node.stop('SIGTERM');
    await delay(500);
    await lab.startNode();
    await delay(2000);
    assert.deepEqual(monitor.lines(), []);
    assert.equal(lab.status().heard.state, 'serving');
    assert.deepEqual(await lab.rows(), ANNOUNCED);
  });

  test('withdraws a node that ends forwarding', async () => {
    const { node } = await announced();
    await node.stop('SIGINT');
    await lab.waitForRows(NONE, GONE_MS);
  });

  test('adopts the rows of a process that was killed, with a node and with an orphan', async () => {
    const { node, announcer } = await announced();
    const monitor = await lab.watchRows();
    announcer.kill();
    await announcer.exited;
    const second = await lab.startAnnouncer();
    await second.waitForEvent('rows_adopted', SOON_MS);
    await delay(1500);
    node.kill();
    await second.waitForEvent('orphaned', SOON_MS);
    second.kill();
    await second.exited;
    await lab.startAnnouncer();
    await delay(2000);
    assert.deepEqual(monitor.lines(), []);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
    assert.ok(lab.status().orphan !== undefined);
  });

  test('leaves the rows at its own end', async () => {
    const { announcer } = await announced();
    await announcer.stop('SIGTERM');
    assert.deepEqual(await lab.rows(), ANNOUNCED);
    const { event, msg } = announcer.events.findLast(({ event: name }) => name === 'stopping')!;
    assert.equal(event, 'stopping');
    assert.match(String(msg), /2 rows stay/);
  });
});
