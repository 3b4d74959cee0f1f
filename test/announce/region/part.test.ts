/** What the real process `anyhop announce` tells DNS hosts, of a node that is played here. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { RegionAnswer } from '#anyhop/announce/region/answer.js';
import { createAuthority } from '../../../scripts/lab/certificates.js';
import { inNamespace, run } from '../../../scripts/lab/command.js';
import { PROGRAM } from '../../../scripts/lab/lab.js';
import type { LabProcess } from '../../../scripts/lab/process.js';
import { Resources } from '../../../scripts/lab/resources.js';
import { missingForIsolation } from '../../isolation.js';
import { until } from './fixture.js';
import { PlayedNode } from './played-node.js';

const VIP = '203.0.113.10';

describe('a node of a region', { skip: missingForIsolation('openssl', 'curl') }, () => {
  const resources = new Resources();
  const { directory } = resources;
  const namespace = resources.addNamespace('node');
  const file = join(directory, 'anyhop.yaml');
  const node = new PlayedNode('eu-1', [VIP]);
  let announcer: LabProcess;

  const config = (weight: number) => `
node: {name: eu-1, socket: ${directory}/node.sock}
pools: {web: {backends: [{name: web-1, address: 10.1.0.11, agent: false}]}}
services: [{name: web, vip: ${VIP}, protocol: tcp, port: 80, pool: web}, {name: far, vip: 198.51.100.10, protocol: tcp, port: 80, pool: web}]
announce:
  socket: ${directory}/announce.sock
  rise: 0s
  listen: 127.0.0.1
  certificate: node.pem
  ca_file: ca.pem
  regions:
    eu: {nodes: [{name: eu-1, address: 127.0.0.1, weight: ${weight}}], vips: [{host: www, vip: ${VIP}}]}
    us: {nodes: [{name: us-1, address: 127.0.0.2}], vips: [{host: www, vip: 198.51.100.10}]}
`;

  async function ask(): Promise<RegionAnswer> {
    const tls = ['--cacert', join(directory, 'ca.pem'), '--cert', join(directory, 'dns.pem'), '--tlsv1.3'];
    const to = ['--connect-to', 'eu-1:9613:127.0.0.1:9613', 'https://eu-1:9613/region'];
    return JSON.parse(
      await run(
        inNamespace(namespace, ['curl', '--silent', '--show-error', '--max-time', '5', ...tls, ...to]),
      ),
    );
  }

  before(async () => {
    await run(['ip', '-n', namespace, 'link', 'set', 'lo', 'up']);
    const authority = await createAuthority(directory);
    await authority.serverCertificate(join(directory, 'node.pem'), ['eu-1']);
    await authority.clientCertificate(join(directory, 'dns.pem'), 'dns-1');
    writeFileSync(file, config(3), { mode: 0o600 });
    await node.start(join(directory, 'node.sock'));
    announcer = await resources.startProcess('announce', namespace, [
      process.execPath,
      PROGRAM,
      'announce',
      '-c',
      file,
    ]);
    await announcer.waitForEvent('region_available', 20_000);
  });
  after(async () => {
    node.close();
    await resources.close();
  });

  it('tells what it announces of the VIPs of its region, with its weight', async () => {
    await until('it is ready', async () => (await ask()).ready);
    assert.deepEqual(await ask(), {
      node: 'eu-1',
      region: 'eu',
      ready: true,
      draining: false,
      weight: 3,
      vips: [{ vip: VIP, state: 'announced' }],
    });
    node.say({ ready: false });
    await until('it is not ready', async () => !(await ask()).ready);
    node.say({ ready: true });
    await until('it is ready again', async () => (await ask()).ready);
  });

  it('tells its new weight and shows its new certificate after SIGHUP, and refuses to listen elsewhere', async () => {
    const authority = await createAuthority(directory, 'ca');
    await authority.serverCertificate(join(directory, 'node.pem'), ['eu-1']);
    await authority.clientCertificate(join(directory, 'dns.pem'), 'dns-1');
    writeFileSync(`${file}.new`, config(5), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    await assert.rejects(ask(), 'still the former authority');
    process.kill(announcer.pid, 'SIGHUP');
    await announcer.waitForEvent('reloaded', 10_000);
    assert.deepEqual([(await ask()).weight, (await ask()).ready], [5, true]);
    writeFileSync(file, config(5).replace('listen: 127.0.0.1', 'listen: 127.0.0.3'), { mode: 0o600 });
    process.kill(announcer.pid, 'SIGHUP');
    const { why } = await announcer.waitForEvent('reload_refused', 10_000);
    assert.match(String(why), /announce\.listen is now 127\.0\.0\.3:9613 instead of 127\.0\.0\.1:9613/);
    assert.equal((await ask()).weight, 5);
  });
});
