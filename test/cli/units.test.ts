/** The units for systemd: well-formed, hardened, in the package; and a forwarder works with no more than they leave it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { run } from '../../scripts/lab/command.js';
import { curl, headerOf } from '../../scripts/lab/l7/curl.js';
import { Resources } from '../../scripts/lab/resources.js';
import { flows } from '../engine/contract-frames.js';
import { createLink, letXdpArrive } from '../engine/link.js';
import { isInstalled, missingForIsolation } from '../isolation.js';
import { FLAGS, MAIN, sendFlows, startRun, writeFleet } from './run-fixture.js';

const UNITS = ['anyhop', 'anyhop-announce', 'anyhop-agent', 'anyhop-l7', 'anyhop-region'];
/** Those that run as a user of their own. */
const OF_A_USER = ['anyhop', 'anyhop-announce', 'anyhop-agent'];
const EXPOSURE_MAX = 3;
const NOBODY = 65534;
const TIMEOUT_MS = 120_000;
const needsSystemd = !isInstalled('systemd-analyze') && 'needs systemd-analyze';

/** A tier whose frontend answers by itself. */
const tierOf = (directory: string): object => ({
  agent: { forwarders: ['10.0.0.1'], run_dir: join(directory, 'agent') },
  pools: { proxies: { backends: [{ name: 'proxy-1', address: '10.1.0.11' }] } },
  services: [{ name: 'http', vip: '203.0.113.10', protocol: 'tcp', port: 80, pool: 'proxies' }],
  l7: {
    run_dir: join(directory, 'l7'),
    frontends: { web: { services: ['http'], routes: [{ redirect: 'https://shop.example.com' }] } },
    upstreams: {},
  },
});

const pathOf = (unit: string): string => `scripts/systemd/${unit}.service`;
const settingsOf = (unit: string, name: string): string[] =>
  readFileSync(pathOf(unit), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${name}=`))
    .map((line) => line.slice(name.length + 1));

describe('the units for systemd', () => {
  for (const unit of UNITS) {
    test(`${unit} is one that systemd takes without a word`, { skip: needsSystemd }, () => {
      const directory = mkdtempSync(join(tmpdir(), 'anyhop-unit-'));
      try {
        // The command is not installed here.
        const copy = join(directory, `${unit}.service`);
        writeFileSync(copy, readFileSync(pathOf(unit), 'utf8').replaceAll('/usr/bin/anyhop', MAIN));
        const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', copy], {
          encoding: 'utf8',
        });
        assert.deepEqual([status, stdout, stderr], [0, '', '']);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });

    test(`${unit} is exposed to ${EXPOSURE_MAX} at most`, { skip: needsSystemd }, (t) => {
      const argv = ['security', '--offline=true', '--no-pager', pathOf(unit)];
      const { stdout, stderr } = spawnSync('systemd-analyze', argv, { encoding: 'utf8' });
      const exposure = /Overall exposure level for .*: ([0-9.]+)/.exec(stdout)?.[1];
      assert.ok(exposure !== undefined, stderr);
      t.diagnostic(`systemd-analyze security, ${unit}: ${exposure}`);
      assert.ok(Number(exposure) <= EXPOSURE_MAX, stdout);
      assert.ok(
        readFileSync('docs/systemd.md', 'utf8').includes(exposure),
        'docs/systemd.md says another one',
      );
    });

    test(`${unit} leaves no core dumps, and takes no options for Node`, () => {
      assert.deepEqual(settingsOf(unit, 'LimitCORE'), ['0']);
      assert.deepEqual(settingsOf(unit, 'UnsetEnvironment'), ['NODE_OPTIONS']);
    });
  }

  for (const unit of OF_A_USER)
    test(`the capabilities that ${unit} has are all that it can have`, () => {
      assert.deepEqual(settingsOf(unit, 'AmbientCapabilities'), settingsOf(unit, 'CapabilityBoundingSet'));
    });

  test('leave the layer-7 tier the capabilities that it needs, and HAProxy only one of them', {
    skip: missingForIsolation('setpriv', 'haproxy', 'curl'),
    timeout: TIMEOUT_MS,
  }, async () => {
    const resources = new Resources();
    try {
      chmodSync(resources.directory, 0o711); // HAProxy's user passes through
      const namespace = resources.addNamespace('proxy');
      const addresses = 'link set lo up\naddr add 203.0.113.10/32 dev lo\naddr add 10.1.0.11/32 dev lo\n';
      await run(['ip', '-n', namespace, '-batch', '-'], { input: addresses });
      const file = join(resources.directory, 'anyhop.yaml');
      writeFileSync(file, JSON.stringify(tierOf(resources.directory)), { mode: 0o600 });
      const [capabilities = ''] = settingsOf('anyhop-l7', 'CapabilityBoundingSet');
      const names = capabilities.split(' ').map((name) => `+${name.replace('CAP_', '').toLowerCase()}`);
      const drop = ['setpriv', `--bounding-set=-all,${names}`, '--no-new-privs'];
      const argv = [...drop, process.execPath, MAIN, 'l7', 'run', '-c', file];
      const tier = await resources.startProcess('anyhop l7 run', namespace, argv);
      await tier.waitForEvent('ready', TIMEOUT_MS);
      const { process: worker } = await tier.waitForEvent('haproxy_up', TIMEOUT_MS);
      const status = readFileSync(`/proc/${worker}/status`, 'utf8');
      assert.match(status, /^CapEff:\t0000000000000400$/m); // CAP_NET_BIND_SERVICE
      assert.doesNotMatch(status, /^Uid:\t0\t/m);
      const answer = await curl({ url: 'http://203.0.113.10/x' }, namespace);
      assert.deepEqual([answer.status, headerOf(answer, 'location')], [308, 'https://shop.example.com/x']);
      const ended = await tier.stop('SIGINT');
      assert.deepEqual(ended, { code: 0, signal: null }, tier.tail());
    } finally {
      await resources.close();
    }
  });

  test('are in the npm package', () => {
    const { stdout } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      encoding: 'utf8',
    });
    const files: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
    for (const unit of UNITS) assert.ok(files.includes(pathOf(unit)), files.join('\n'));
  });

  test('leave a forwarder what it needs: a file system that is read-only but for its own directories, no new privileges', {
    skip: missingForIsolation('setpriv', 'ethtool'),
    timeout: TIMEOUT_MS,
  }, async (t) => {
    const link = await createLink();
    try {
      await letXdpArrive(link);
      const { directory } = link.resources;
      const bpffs = link.resources.bpffs();
      const file = writeFleet(link, { node: { engine: 'xdp', bpffs, state_dir: join(directory, 'state') } });
      for (const path of [directory, file]) chownSync(path, NOBODY, NOBODY);
      chmodSync(bpffs, 0o711);
      await link.onNode('install', '-d', '-m', '0700', '-o', String(NOBODY), join(bpffs, 'anyhop'));
      const [capabilities = ''] = settingsOf('anyhop', 'CapabilityBoundingSet');
      const names = capabilities.split(' ').map((name) => `+${name.replace('CAP_', '').toLowerCase()}`);
      const user = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--no-new-privs'];
      const drop = [
        'setpriv',
        ...user,
        `--bounding-set=-all,${names}`,
        `--inh-caps=${names}`,
        `--ambient-caps=${names}`,
      ];
      if (spawnSync('setpriv', [...user, 'test', '-r', MAIN]).status !== 0)
        return t.skip('needs a checkout that every user can read');
      const sandbox =
        'mount -t tmpfs tmpfs /run && install -d -o "$0" /run/anyhop && ' +
        `mount --rbind ${directory} ${directory} && mount -o remount,bind,ro / && exec "$@"`;
      const node = await startRun(
        link,
        ['-c', file, ...FLAGS],
        ['sh', '-c', sandbox, String(NOBODY), ...drop],
      );
      assert.deepEqual(await sendFlows(link, flows(20)), { gre4: 20, gre6: 0 });
      const status = readFileSync(`/proc/${node.pid}/status`, 'utf8');
      assert.match(status, /^NoNewPrivs:\t1$/m);
      assert.match(status, /^Uid:\t65534\t/m);
      // What belongs to root here leaves no core dump, and cannot be read by others of that user.
      assert.equal(statSync(`/proc/${node.pid}/environ`).uid, 0);
      assert.deepEqual(await node.stop('SIGINT'), { code: 0, signal: null });
      assert.ok(!node.events.some(({ event }) => event === 'state_not_kept'), node.tail());
    } finally {
      await link.resources.close();
    }
  });
});
