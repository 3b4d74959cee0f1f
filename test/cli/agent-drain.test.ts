/** `anyhop agent --drain`: what it refuses before it asks anybody for anything. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { anyhop } from './client.js';

/** An address of this machine that a config takes as a backend's. */
const OWN = Object.values(networkInterfaces())
  .flatMap((list = []) => list)
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

describe('anyhop agent --drain', () => {
  let directory: string;
  const run = () => join(directory, 'run');
  const file = (address: string): string => {
    const path = join(directory, `${address}.yaml`);
    writeFileSync(
      path,
      `pools: {web: {backends: [{name: web-1, address: ${address}}]}}
services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]
agent: {forwarders: [192.0.2.1], run_dir: ${run()}}
`,
    );
    return path;
  };
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'anyhop-drain-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  test('refuses a host that is no backend, and options that do not belong together', async () => {
    const stranger = await anyhop(['agent', '-c', file('198.51.100.1'), '--drain']);
    assert.equal(stranger.code, 3);
    assert.match(stranger.stderr, /none of the backends in the config has an address of this host/);
    for (const options of [['--wait'], ['--undrain', '--wait']]) {
      const { code, stderr } = await anyhop(['agent', '-c', file('198.51.100.1'), ...options]);
      assert.deepEqual([code, /use it with --drain/.test(stderr)], [2, true], stderr);
    }
    for (const other of ['--undrain', '--check', '--status', '--stop'])
      assert.equal((await anyhop(['agent', '-c', file('198.51.100.1'), '--drain', other])).code, 2, other);
  });

  test('makes and removes the mark without an agent, and says in JSON whether it did', {
    skip: OWN === undefined ? 'this machine has no address but its loopback' : false,
  }, async () => {
    const config = file(OWN!);
    const said = async (option: string) =>
      JSON.parse((await anyhop(['agent', '-c', config, option, '--json'])).stdout).marks;
    const mark = join(run(), `draining-${OWN}`);
    assert.deepEqual(await said('--drain'), [{ address: OWN, mark, made: true }]);
    assert.deepEqual(readdirSync(run()), [`draining-${OWN}`]);
    assert.deepEqual(await said('--drain'), [{ address: OWN, mark, made: false }]);
    assert.deepEqual(await said('--undrain'), [{ address: OWN, mark, removed: true }]);
    assert.deepEqual(await said('--undrain'), [{ address: OWN, mark, removed: false }]);
    assert.deepEqual(readdirSync(run()), []);
  });

  test('makes no mark where anybody could, and says what to do', {
    skip: OWN === undefined ? 'this machine has no address but its loopback' : false,
  }, async () => {
    rmSync(run(), { recursive: true, force: true });
    mkdirSync(run());
    chmodSync(run(), 0o777);
    const { code, stderr } = await anyhop(['agent', '-c', file(OWN!), '--drain']);
    assert.equal(code, 3);
    assert.match(stderr, /can be written by others[\s\S]*chmod go-w .*agent\.run_dir/);
    assert.deepEqual(readdirSync(run()), []);
  });
});
