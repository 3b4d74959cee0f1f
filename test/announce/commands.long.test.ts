/** What is said to `anyhop announce` by commands, and those who are in its way. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FOLLOW_SILENCE_MS } from '#anyhop/core/limits.js';
import { inNamespace } from '../../scripts/lab/command.js';
import { MAIN } from '../cli/run-fixture.js';
import { createXdpLink, LINK } from '../engine/link.js';
import { VIP4 } from '../forward/fixture.js';
import { missingForIsolation, withRuntimeDirectory } from '../isolation.js';
import { ANNOUNCED, Announcing, NONE, SOON_MS, TABLE } from './run-fixture.js';

const NOBODY = 65534;

/** Without a wait: far from any time of the config, on a machine that does much else. */
const AT_ONCE_MS = 5_000;

describe('anyhop announce', { skip: missingForIsolation('ethtool', 'setpriv') }, () => {
  let lab: Announcing;
  beforeEach(async () => {
    lab = new Announcing(await createXdpLink(), { announce: { orphan_time: '60s' } });
  });
  afterEach(() => lab?.link.resources.close());

  async function announced() {
    const node = await lab.startNode();
    const announcer = await lab.startAnnouncer();
    await lab.waitForRows(ANNOUNCED);
    return { node, announcer };
  }

  test('refuses a second process on the same table', async () => {
    await announced();
    const { status, stderr } = lab.command();
    assert.equal(status, 3);
    assert.match(
      stderr,
      /another "anyhop announce" runs on routing table 179\n {2}Stop it first \(process \d+\)/,
    );
    const withdrawal = lab.anyhop(
      'announce',
      '-c',
      lab.write({ announce: { socket: '/run/none.sock' } }),
      '--name',
      'edge-1',
      '--withdraw',
    );
    assert.equal(withdrawal.status, 3, withdrawal.stdout);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
  });

  test('leaves the row of another program alone, says so, and takes its turn when that goes', async () => {
    const row = ['blackhole', VIP4, 'table', String(TABLE), 'metric', '100', 'proto', 'static'];
    await lab.link.onNode('ip', 'route', 'add', ...row);
    await lab.startNode();
    const announcer = await lab.startAnnouncer();
    await lab.waitForRows(ANNOUNCED);
    await announcer.waitForEvent('row_refused', SOON_MS);
    const [first, second] = lab.status().vips;
    assert.equal(first!.state, 'withdrawn');
    assert.match(first!.reason, /another program \(proto static\) has the row/);
    assert.equal(second!.state, 'announced');
    await lab.link.onNode('ip', 'route', 'del', ...row);
    await lab.waitForRows(ANNOUNCED);
    assert.equal(lab.status().vips[0]!.state, 'announced');
  });

  test('says so when a row of another program comes before its own, until that goes', async () => {
    const { announcer } = await announced();
    const row = ['unreachable', VIP4, 'table', String(TABLE), 'proto', 'static'];
    await lab.link.onNode('ip', 'route', 'add', ...row);
    const refused = await announcer.waitForEvent('row_refused', SOON_MS);
    assert.match(
      String(refused['msg']),
      /^203\.0\.113\.10 cannot be announced: another program \(proto static\) has the row unreachable 203\.0\.113\.10\/32 table 179 metric 0, which comes first$/,
    );
    const [first, second] = lab.status().vips;
    assert.deepEqual([first!.state, first!.metric, second!.state], ['withdrawn', undefined, 'announced']);
    await lab.link.onNode('ip', 'route', 'del', ...row);
    for (let tries = 0; tries < 20 && lab.status().vips[0]!.state !== 'announced'; tries++) await delay(100);
    assert.equal(lab.status().vips[0]!.metric, 100);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
  });

  test('puts rows back that another program removes, and removes those that are not to be there', async () => {
    const { announcer } = await announced();
    await lab.link.onNode('ip', 'route', 'del', 'blackhole', VIP4, 'table', String(TABLE));
    await announcer.waitForEvent('row_restored', SOON_MS);
    const strange = ['blackhole', '198.51.100.9', 'table', String(TABLE), 'metric', '100', 'proto', '179'];
    await lab.link.onNode('ip', 'route', 'add', ...strange);
    await announcer.waitForEvent('row_removed', SOON_MS);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
  });

  test('withdraws by command, also across a restart, until --resume', async () => {
    const { announcer } = await announced();
    const withdrawal = lab.command('--withdraw');
    assert.equal(withdrawal.status, 0, withdrawal.stderr);
    assert.match(withdrawal.stdout, /^withdrawn: 2 VIPs/);
    assert.deepEqual(await lab.rows(), NONE);
    announcer.kill();
    await announcer.exited;
    await lab.startAnnouncer();
    await delay(1500);
    assert.deepEqual(await lab.rows(), NONE);
    assert.equal(lab.status().held?.by, 'withdraw');
    assert.match(lab.command('--status').stdout, /held back by "anyhop announce --withdraw" since/);
    assert.equal(lab.command('--resume').status, 0);
    await lab.waitForRows(ANNOUNCED);
  });

  test('withdraws without a process too, and the next one holds that', async () => {
    const { announcer } = await announced();
    await announcer.stop();
    const { status, stdout, stderr } = lab.command('--withdraw', '--json');
    assert.equal(status, 0, stderr);
    assert.equal(JSON.parse(stdout).removed.length, 2);
    assert.deepEqual(await lab.rows(), NONE);
    const second = await lab.startAnnouncer();
    await delay(1500);
    assert.deepEqual(await lab.rows(), NONE);
    await second.stop();
    assert.match(lab.command('--resume').stdout, /the next "anyhop announce" announces again/);
    await lab.startAnnouncer();
    await lab.waitForRows(ANNOUNCED);
  });

  test('refuses a bad config at a reload, and takes a good one', async () => {
    const { announcer } = await announced();
    const good = lab.write({ announce: { vips: [VIP4] } });
    writeFileSync(lab.file, '{"announce": {"metric": 0}}');
    process.kill(announcer.pid, 'SIGHUP');
    const refused = await announcer.waitForEvent('reload_refused', SOON_MS);
    assert.match(String(refused['msg']), /announce\.metric: .*Nothing has changed/s);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
    // `write` names the same file.
    assert.equal(lab.write({ announce: { vips: [VIP4] } }), good);
    process.kill(announcer.pid, 'SIGHUP');
    await announcer.waitForEvent('reloaded', SOON_MS);
    await lab.waitForRows([`${VIP4} 100`]);
  });

  test('is withdrawn by anyhop stop before forwarding ends, and comes back with the next node', async () => {
    const { node, announcer } = await announced();
    const stop = (): string => {
      const { status, stderr } = lab.stop();
      return `${status} ${stderr}`;
    };
    assert.match(stop(), /^3 .*another "anyhop run" runs/s);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
    node.kill();
    await announcer.waitForEvent('orphaned', SOON_MS);
    assert.match(stop(), /^0 withdrew 2 VIPs first/);
    assert.deepEqual(await lab.rows(), NONE);
    assert.match(lab.status().vips[0]!.reason, /held back by "anyhop stop", until the node serves again/);
    assert.equal(stop(), '0 ', 'a second time there is nothing to withdraw, and no reason to complain');
    await lab.startNode();
    await lab.waitForRows(ANNOUNCED);
    assert.equal(lab.status().held, undefined);
  });

  test('is withdrawn by anyhop stop where /sys is of another network namespace, with an interface of the same name', async () => {
    const { node, announcer } = await announced();
    node.kill();
    await announcer.waitForEvent('orphaned', SOON_MS);
    const other = `mount -t tmpfs other /sys/class/net; mkdir /sys/class/net/${LINK}; echo 9999 >/sys/class/net/${LINK}/ifindex`;
    const stop = [process.execPath, MAIN, 'stop', '--interface', LINK, '--bpffs', lab.link.bpffs];
    const [program = '', ...args] = inNamespace(lab.link.node, [
      'sh',
      '-c',
      `${other}; exec "$@"`,
      'sh',
      ...stop,
    ]);
    const { status, stderr } = spawnSync(program, args, {
      encoding: 'utf8',
      timeout: SOON_MS,
      env: { ...process.env, ANYHOP_CONFIG: lab.file },
    });
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^withdrew 2 VIPs first/);
    assert.deepEqual(await lab.rows(), NONE);
  });

  test('is withdrawn by anyhop stop without an announcer too', async () => {
    const { node, announcer } = await announced();
    await announcer.stop();
    node.kill();
    await node.exited;
    const track = join(lab.link.resources.directory, 'track');
    writeFileSync(track, '100\n');
    lab.write({ announce: { track_file: track } });
    const { status, stderr } = lab.stop();
    assert.equal(status, 0, stderr);
    assert.match(stderr, /^withdrew 2 VIPs first/);
    assert.deepEqual(await lab.rows(), NONE);
    assert.equal(readFileSync(track, 'latin1'), '0\n', 'keepalived knows of it');
  });

  test('needs CAP_NET_ADMIN alone, also for an orphan, and says what is missing without it', async () => {
    const { node, resources } = lab.link;
    const run = await lab.startNode();
    for (const file of [resources.directory, lab.file, join(resources.directory, 'control.sock')])
      chmodSync(file, 0o777);
    const socket = '/run/anyhop/announce.sock'; // in a /run of its own
    const file = lab.write({ announce: { socket, orphan_time: '60s' } });
    chmodSync(file, 0o644);
    const asNobody = (capabilities: string): string[] => [
      ...withRuntimeDirectory(NOBODY),
      ...['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--no-new-privs'],
      ...['inh-caps', 'ambient-caps', 'bounding-set'].map((set) => `--${set}=-all${capabilities}`),
      ...[process.execPath, MAIN, 'announce', '-c', file, '--name', 'edge-1'],
    ];
    const [program = '', ...args] = inNamespace(node, asNobody(''));
    const without = spawnSync(program, args, { encoding: 'utf8', timeout: SOON_MS });
    assert.equal(without.status, 3, without.stderr);
    assert.match(without.stderr, /the capability CAP_NET_ADMIN is missing\n {2}Run as root, or give/);
    const announcer = await resources.startProcess('with', node, asNobody(',+net_admin'));
    await lab.waitForRows(ANNOUNCED);
    run.kill();
    await announcer.waitForEvent('orphaned', SOON_MS);
    await delay(2000);
    assert.deepEqual(await lab.rows(), ANNOUNCED);
    const neighbour = ['10.0.0.2', 'lladdr', '02:00:00:00:00:99', 'dev', LINK, 'nud', 'permanent'];
    await lab.link.onNode('ip', 'neigh', 'replace', ...neighbour);
    await lab.waitForRows(NONE);
    assert.ok(!announcer.events.some(({ event }) => event === 'orphan_unknown'), announcer.tail());
  });

  test('is a section of anyhop status', async () => {
    const { announcer } = await announced();
    process.env['ANYHOP_CONFIG'] = lab.file;
    process.env['ANYHOP_NODE_NAME'] = 'edge-1';
    try {
      const { stdout, stderr } = lab.anyhop('status');
      assert.match(
        stdout,
        /announcer of node edge-1, .*table 179\nthe node serves since .*\nVIP +STATE/,
        stderr,
      );
      const { announce } = JSON.parse(lab.anyhop('status', '--json').stdout);
      assert.equal(announce.vips.length, 2);
      announcer.kill();
      await announcer.exited;
      const after = lab.anyhop('status');
      assert.equal(after.status, 0, after.stderr);
      assert.match(
        after.stdout,
        /\nno "anyhop announce" answers on .*: what it announced stays as it was\n$/,
      );
    } finally {
      delete process.env['ANYHOP_CONFIG'];
      delete process.env['ANYHOP_NODE_NAME'];
    }
  });

  test('refuses options that make no sense together', () => {
    for (const [args, message] of [
      [['--status', '--withdraw'], /--status and --withdraw are two things to do/],
      [['--json'], /--json means nothing here\n {2}It goes with --status, --withdraw, --resume/],
      [['--status', '--log-level', 'debug'], /--log-level means nothing with --status/],
    ] as const) {
      const { status, stderr } = lab.command(...args);
      assert.equal(status, 2);
      assert.match(stderr, message);
    }
  });

  test('says that nobody answers', () => {
    const { status, stderr } = lab.command('--status');
    assert.equal(status, 1);
    assert.match(stderr, /no "anyhop announce" answers on /);
  });
});

describe('anyhop announce, the engine portable', { skip: missingForIsolation('ethtool', 'nft') }, () => {
  test('withdraws at once when the node is killed, and stays announced when the announcer is', async () => {
    const lab = new Announcing(await createXdpLink(), { node: { engine: 'portable' } });
    try {
      const node = await lab.startNode();
      const first = await lab.startAnnouncer();
      await lab.waitForRows(ANNOUNCED);
      const monitor = await lab.watchRows();
      first.kill();
      await first.exited;
      const second = await lab.startAnnouncer();
      await delay(1500);
      assert.deepEqual(monitor.lines(), []);
      node.kill();
      const tookMs = await lab.waitForRows(NONE);
      assert.ok(tookMs < AT_ONCE_MS, `gone after ${tookMs} ms`);
      const event = await second.waitForEvent('withdrawn', SOON_MS);
      assert.match(String(event['reason']), /the engine portable forwards nothing without it/);
    } finally {
      await lab.link.resources.close();
    }
  });

  test('stays announced while the node says that nothing has changed, and is withdrawn when it says nothing', async () => {
    const lab = new Announcing(await createXdpLink(), { node: { engine: 'portable' } });
    try {
      const node = await lab.startNode();
      const announcer = await lab.startAnnouncer();
      await lab.waitForRows(ANNOUNCED);
      const monitor = await lab.watchRows();
      await delay(2 * FOLLOW_SILENCE_MS);
      assert.deepEqual(monitor.lines(), []);
      process.kill(node.pid, 'SIGSTOP');
      await lab.waitForRows(NONE);
      const { reason } = await announcer.waitForEvent('withdrawn', SOON_MS);
      assert.match(String(reason), /the node has said nothing for 3s/);
      process.kill(node.pid, 'SIGCONT');
      await lab.waitForRows(ANNOUNCED);
    } finally {
      await lab.link.resources.close();
    }
  });
});
