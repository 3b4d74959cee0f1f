/** Packages that the set-up installs start nothing, now or at the next boot; a service that was enabled before stays so. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { run } from '../../scripts/lab/command.js';
import { inCopyOfRoot, missingForCopyOfRoot } from './copy-of-root.js';

const TIMEOUT_MS = 120_000;

/** A server as Debian packages one: an init script, a unit, a timer, and what debhelper puts into the postinst (compat 13). */
const INIT_SCRIPT = `#!/bin/sh
### BEGIN INIT INFO
# Provides: anyhop-test
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: a server that only says that it was started
### END INIT INFO
echo "$1" >>/given/calls
`;
const UNIT = '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n';
const TIMER = '[Timer]\nOnCalendar=daily\n[Install]\nWantedBy=timers.target\n';
const POSTINST = `#!/bin/sh
set -e
update-rc.d anyhop-test defaults
invoke-rc.d --skip-systemd-native anyhop-test start
for unit in anyhop-test.service anyhop-test-daily.timer; do
  deb-systemd-helper unmask $unit
  if deb-systemd-helper --quiet was-enabled $unit; then
    deb-systemd-helper enable $unit
  else
    deb-systemd-helper update-state $unit
  fi
done
`;

/**
 * For scripts: what a boot would start, and whether the server was started. The copy is a machine that runs, with an init that
 * tells the runlevel, and without a policy.
 */
const TOOLS = `
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive
install_it() { dpkg -i /given/$1.deb >/dev/null 2>&1; }
without() { /given/without-services.sh dpkg -i /given/$1.deb >/dev/null 2>&1; }
state() {
  ls /etc/systemd/system/*.wants/anyhop-test* /etc/rc[2345].d/S*anyhop-test 2>/dev/null | sed 's,^/etc/,,'
  [ ! -e /given/calls ] || echo started
  rm -f /given/calls
  echo .
}
rm -f /usr/sbin/policy-rc.d /sbin/runlevel /sbin/init
printf '#!/bin/sh\necho N 2\n' >/sbin/runlevel
chmod +x /sbin/runlevel
cp /sbin/runlevel /sbin/init
`;
const ENABLED = [
  'rc2.d/S01anyhop-test',
  'rc3.d/S01anyhop-test',
  'rc4.d/S01anyhop-test',
  'rc5.d/S01anyhop-test',
  'systemd/system/multi-user.target.wants/anyhop-test.service',
  'systemd/system/timers.target.wants/anyhop-test-daily.timer',
];

async function buildPackage(directory: string, version: number): Promise<void> {
  const tree = join(directory, `tree-${version}`);
  const write = (path: string, text: string, mode = 0o644): void => {
    mkdirSync(join(tree, path, '..'), { recursive: true });
    writeFileSync(join(tree, path), text, { mode });
  };
  const control = { Package: 'anyhop-test', Version: version, Architecture: 'all', Maintainer: 'nobody' };
  const fields = Object.entries({ ...control, Description: 'a test' }).map(
    ([name, value]) => `${name}: ${value}\n`,
  );
  write('DEBIAN/control', fields.join(''));
  write('DEBIAN/postinst', POSTINST, 0o755);
  write('etc/init.d/anyhop-test', INIT_SCRIPT, 0o755);
  write('lib/systemd/system/anyhop-test.service', UNIT);
  write('lib/systemd/system/anyhop-test-daily.timer', TIMER);
  await run(['dpkg-deb', '--build', '--root-owner-group', tree, join(directory, `${version}.deb`)]);
}

describe('installing packages without their services', { skip: missingForCopyOfRoot() }, () => {
  let directory: string;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'ah-packages-'));
    copyFileSync('scripts/without-services.sh', join(directory, 'without-services.sh'));
    await buildPackage(directory, 1);
    await buildPackage(directory, 2);
  });
  after(() => rmSync(directory, { recursive: true }));

  /** What each `state` of the script printed. */
  async function states(script: string): Promise<string[][]> {
    const printed = await inCopyOfRoot(`${TOOLS}${script}`, directory);
    return printed
      .split('.\n')
      .slice(0, -1)
      .map((text) => text.split('\n').filter(Boolean));
  }

  test('dpkg alone starts and enables a new service, so the others here prove something', {
    timeout: TIMEOUT_MS,
  }, async () => {
    assert.deepEqual(await states('install_it 1; state'), [[...ENABLED, 'started']]);
  });

  test('a new service is neither started nor enabled, and a later upgrade changes nothing about that', {
    timeout: TIMEOUT_MS,
  }, async () => {
    assert.deepEqual(await states('without 1; state; install_it 2; state'), [[], []]);
  });

  test('the same holds where there is no systemctl', { timeout: TIMEOUT_MS }, async () => {
    assert.deepEqual(await states('rm -f /usr/bin/systemctl /bin/systemctl; without 1; state'), [[]]);
  });

  test('a service that was enabled before stays enabled', { timeout: TIMEOUT_MS }, async () => {
    const [installed, upgraded] = await states('install_it 1; state; without 2; state');
    assert.deepEqual(installed, [...ENABLED, 'started']);
    assert.deepEqual(upgraded, ENABLED);
  });

  test('a service that was disabled before stays disabled', { timeout: TIMEOUT_MS }, async () => {
    const disable =
      'update-rc.d anyhop-test disable; rm /etc/systemd/system/timers.target.wants/anyhop-test*';
    const [, upgraded] = await states(`install_it 1; state; ${disable}; without 2; state`);
    assert.deepEqual(upgraded, []);
  });

  test('a command that fails keeps its exit code, leaves no policy, and what it enabled is disabled', {
    timeout: TIMEOUT_MS,
  }, async () => {
    const script = `
      code=0
      /given/without-services.sh sh -c 'dpkg -i /given/1.deb; exit 7' >/dev/null 2>&1 || code=$?
      echo "code $code"
      ls /usr/sbin | grep policy-rc.d || true
      state`;
    assert.deepEqual(await states(script), [['code 7']]);
  });

  test("an administrator's own policy stays", { timeout: TIMEOUT_MS }, async () => {
    const script = `
      printf '#!/bin/sh\\nexit 101\\n# mine\\n' >/usr/sbin/policy-rc.d
      chmod +x /usr/sbin/policy-rc.d
      without 1
      grep mine /usr/sbin/policy-rc.d
      state`;
    assert.deepEqual(await states(script), [['# mine']]);
  });
});
