/** What is said of ways that are too narrow for IPv6: by check of this machine's routes, and in which services' name. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { warnAboutNarrowRoutes } from '#anyhop/cli/narrow-routes.js';
import { loadConfig } from '#anyhop/config/load.js';
import { leastMtus } from '#anyhop/pool/least-mtu.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { withUnderlay } from '../underlay/underlay.js';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'anyhop-narrow-'));
});
after(() => rmSync(folder, { recursive: true }));

const config = (source = '10.0.1.1', secondChance = 'off') => {
  const file = join(folder, 'anyhop.yaml');
  writeFileSync(
    file,
    `node: {name: n, interface: eth0, source: [${source}, 'fd00:1::1'], key: 00112233445566778899aabbccddeeff}
pools:
  both: {backends: [{name: a, address: 10.1.0.1}, {name: b, address: 10.1.0.2}, {name: c, address: 'fd00:9::3'}]}
  four: {backends: [{name: d, address: 10.1.0.4}, {name: e, address: 'fd00:9::5'}]}
services:
  - {name: v4, vip: 203.0.113.10, protocol: tcp, port: 80, pool: both}
  - {name: v6, vip: '2001:db8:100::10', protocol: tcp, port: 80, pool: both, second_chance: ${secondChance}}
  - {name: only4, vip: 203.0.113.10, protocol: tcp, port: 81, pool: four}
`,
    { mode: 0o600 },
  );
  return loadConfig(file, { role: 'node' });
};

describe('the least MTU of the path to a backend', () => {
  it('is what IPv6 senders need where IPv6 is served, 576 bytes elsewhere, and the outer headers', () => {
    const least = (of: ReturnType<typeof config>) =>
      Object.fromEntries([...leastMtus(of)].map(([address, { all, ipv6 }]) => [address, [all, ipv6]]));
    assert.deepEqual(least(config()), {
      '10.1.0.1': [1304, 1304],
      '10.1.0.2': [1304, 1304],
      'fd00:9::3': [1324, 1324],
      '10.1.0.4': [600, undefined],
      'fd00:9::5': [1280, undefined],
    });
    assert.deepEqual(least(config('10.0.1.1', 'on'))['10.1.0.1'], [1308, 1308]);
    assert.deepEqual(least(config('10.0.1.1', 'on'))['fd00:9::3'], [1328, 1328]);
  });
});

describe('check', { skip: missingForLab()?.message ?? false }, () => {
  it('warns once a pool of routes that are too narrow for IPv6 services, and on the node’s own machine alone', () =>
    withUnderlay(async ({ node, run }) => {
      const messages = async (source?: string) =>
        (await warnAboutNarrowRoutes(config(source), run)).map(({ message }) => message);
      await node('route add 10.1.0.0/24 via 10.0.1.254', 'route add fd00:9::/32 via fd00:1::fe');
      assert.deepEqual(await messages(), []);
      await node(
        'route replace 10.1.0.0/24 via 10.0.1.254 mtu 1304',
        'route replace fd00:9::/32 via fd00:1::fe mtu 1323',
      );
      const narrow6 = await messages();
      assert.equal(narrow6.length, 1);
      assert.match(
        narrow6[0],
        /path to both\/c has an MTU of 1323: IPv6 packets of 1280 bytes do not fit.* 1324 or more/,
      );
      await node('route replace 10.1.0.0/24 via 10.0.1.254 mtu 1303');
      assert.match((await messages())[0], /path to both\/a has an MTU of 1303.* 1304 or more/);
      assert.deepEqual(await messages('10.0.99.1'), [], 'another machine');
    }));
});
