/** The units for systemd: well-formed, hardened, in the package; and a forwarder works with no more than they leave it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { flows } from '../engine/contract-frames.js';
import { createLink, letXdpArrive } from '../engine/link.js';
import { isInstalled, missingForIsolation } from '../isolation.js';
import { FLAGS, MAIN, sendFlows, startRun, writeFleet } from './run-fixture.js';

const UNITS = ['anyhop', 'anyhop-agent'];
const EXPOSURE_MAX = 3;
const NOBODY = 65534;
const TIMEOUT_MS = 120_000;
const needsSystemd = !isInstalled('systemd-analyze') && 'needs systemd-analyze';

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

    test(`${unit} leaves no core dumps, and the capabilities that it has are all that it can have`, () => {
      assert.deepEqual(settingsOf(unit, 'LimitCORE'), ['0']);
      assert.deepEqual(settingsOf(unit, 'AmbientCapabilities'), settingsOf(unit, 'CapabilityBoundingSet'));
      assert.deepEqual(settingsOf(unit, 'UnsetEnvironment'), ['NODE_OPTIONS']);
    });
  }

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
      const run = await startRun(
        link,
        ['-c', file, ...FLAGS],
        ['sh', '-c', sandbox, String(NOBODY), ...drop],
      );
      assert.deepEqual(await sendFlows(link, flows(20)), { gre4: 20, gre6: 0 });
      const status = readFileSync(`/proc/${run.pid}/status`, 'utf8');
      assert.match(status, /^NoNewPrivs:\t1$/m);
      assert.match(status, /^Uid:\t65534\t/m);
      // What belongs to root here leaves no core dump, and cannot be read by others of that user.
      assert.equal(statSync(`/proc/${run.pid}/environ`).uid, 0);
      assert.deepEqual(await run.stop('SIGINT'), { code: 0, signal: null });
      assert.ok(!run.events.some(({ event }) => event === 'state_not_kept'), run.tail());
    } finally {
      await link.resources.close();
    }
  });
});
