/** Lines that mend, pasted: they must not break what was right. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { parseConfig } from '#anyhop/config/load.js';
import { runTool } from '#anyhop/core/tool.js';
import { vipAlone } from '#anyhop/doctor/checks/vip-alone.js';
import { vipHere } from '#anyhop/doctor/checks/vip-here.js';
import { Facts } from '#anyhop/doctor/facts.js';
import type { Host } from '#anyhop/doctor/host.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';
import { recordedHost } from './recorded-host.js';

const CONFIG = `
node: {name: edge-1, interface: eth0, source: 10.0.0.1, key: 00112233445566778899aabbccddeeff}
pools: {web: {backends: [{name: web-1, address: 10.1.0.11, agent: false}]}}
services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]
`;

/** @param changes of a recorded host without a fault */
function factsOf(changes: Partial<Host>): Facts {
  const config = { ...parseConfig(CONFIG, 'a.yaml', { role: 'run', env: {} }), warnings: [] };
  const [{ name: pool, backends }] = config.pools;
  return new Facts(
    { ...recordedHost('backend'), ...changes },
    {
      where: 'backend',
      name: 'web-1',
      config,
      interface: 'eth0',
      targets: backends.map((backend) => ({ ...backend, pool })),
      status: async () => undefined,
    },
  );
}

describe('the mend of a VIP that brings its neighbours along', { skip: missingForIsolation() }, () => {
  let resources: Resources;
  let namespace: string;
  before(() => {
    resources = new Resources();
    namespace = resources.addNamespace('mend');
  });
  after(() => resources?.close());

  it('leaves the other addresses of that prefix', async () => {
    const inside = (script: string): Promise<string> => run(inNamespace(namespace, ['sh', '-ec', script]));
    await inside('for i in 10 11 12; do ip addr add 203.0.113.$i/24 dev lo; done');
    const facts = factsOf({
      run: (program, args) => runTool('ip', ['netns', 'exec', namespace, program, ...args]),
    });
    const [{ mend }] = await vipAlone.run(facts);
    await inside(mend);
    assert.deepEqual((await inside('ip -br -4 addr show lo')).match(/203\S+/g)?.sort(), [
      '203.0.113.10/32',
      '203.0.113.11/24',
      '203.0.113.12/24',
    ]);
  });
});

describe('the mend of a VIP that is missing', () => {
  it('keeps the host from answering ARP for it before it has it', async () => {
    const { read } = recordedHost('backend');
    const missing = { localAmong: async () => new Set<string>() };
    const add = 'ip addr add 203.0.113.10/32 dev lo';
    const talks = factsOf({ ...missing, read: (path) => (/\/arp_/.test(path) ? '0' : read(path)) });
    assert.deepEqual(
      (await vipHere.run(talks)).map(({ mend }) => mend),
      [`sysctl -w net.ipv4.conf.all.arp_ignore=1 && sysctl -w net.ipv4.conf.all.arp_announce=2 && ${add}`],
    );
    assert.deepEqual(
      (await vipHere.run(factsOf(missing))).map(({ mend }) => mend),
      [add],
    );
  });
});
