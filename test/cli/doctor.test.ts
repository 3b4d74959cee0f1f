/** `anyhop doctor` as a user runs it, where there is no fleet: what it is asked wrongly, and what it lists. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CHECKS } from '#anyhop/doctor/checks.js';
import { anyhop } from './client.js';

const CONFIG = `
node: {name: edge-77, interface: eth0, source: 192.0.2.77, key: 00112233445566778899aabbccddeeff, socket: /nowhere/edge-77.sock}
pools: {web: {backends: [{name: web-1, address: 192.0.2.78}]}}
services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]
agent: {forwarders: [192.0.2.0/24]}
`;

describe('anyhop doctor', () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'anyhop-doctor-'));
    file = join(folder, 'anyhop.yaml');
    writeFileSync(file, CONFIG, { mode: 0o600 });
  });
  after(() => rmSync(folder, { recursive: true }));

  it('lists every check with what it looks at, and looks at nothing', async () => {
    const { code, stdout } = await anyhop(['doctor', '--list', '--json', '-c', '/nowhere']);
    assert.equal(code, 0);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; looks: string }[] };
    assert.deepEqual(
      checks.map(({ name }) => name),
      CHECKS.map(({ name }) => name),
    );
    for (const { name, looks } of checks) {
      assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
      assert.match(looks, /^[A-Za-z].*\.$/s, name);
    }
    assert.equal(new Set(checks.map(({ name }) => name)).size, checks.length);
    assert.match(
      (await anyhop(['doctor', '--list'])).stdout,
      /^link \(forwarder, backend\)\n {2}The interface/m,
    );
  });

  it('says what it compared when this host is nothing of the fleet', async () => {
    const { code, stderr } = await anyhop([
      'doctor',
      '-c',
      file,
      '--socket',
      join(folder, 'none.sock'),
      '--as',
      'backend',
    ]);
    assert.equal(code, 2);
    assert.match(stderr, /no backend of .*anyhop\.yaml has an address of this host/);
  });

  it('refuses a backend that is not in the file, and a role that there is not', async () => {
    const unknown = await anyhop([
      'doctor',
      '-c',
      file,
      '--backend',
      'web-9',
      '--socket',
      join(folder, 'none.sock'),
    ]);
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /has a backend web-9\n {2}There are: web-1/);
    assert.equal((await anyhop(['doctor', '--as', 'king'])).code, 2);
  });

  it('names the problems of a file that cannot be used', async () => {
    const bad = join(folder, 'bad.yaml');
    writeFileSync(bad, `${CONFIG}\nnonsense: true\n`);
    const { code, stderr } = await anyhop(['doctor', '-c', bad]);
    assert.equal(code, 2);
    assert.match(stderr, /bad\.yaml:\d+:1: nonsense/);
  });
});
