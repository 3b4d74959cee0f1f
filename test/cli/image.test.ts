/** `anyhop image`: what it prints is what the config says, and no key is in it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { L } from '#anyhop/core/layout.gen.js';
import { deriveFlowKey } from '#anyhop/hash/key.js';
import { parseAddress } from '#anyhop/packet/address.js';

const MAIN = fileURLToPath(import.meta.resolve('#anyhop/main.js'));
const FULL = 'test/config/full.yaml';

function image(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'image', '-c', FULL, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  });
  assert.equal(stderr, '');
  assert.equal(status, 0);
  return stdout;
}

const json = image('--json', '--mtu', '1400');
const summary = JSON.parse(json);

describe('anyhop image', () => {
  it('prints the services of the config: VIP, ports, pool, hash, second chance', () => {
    const service = (name: string, vip: string, rest: object) => ({
      name,
      vip,
      protocol: 'tcp',
      portFirst: 80,
      portLast: 80,
      pool: 'web',
      hash: '5-tuple',
      secondChance: false,
      slots: 65537,
      ...rest,
    });
    const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : 1);
    assert.deepEqual(summary.services.toSorted(byName), [
      service('dns', '203.0.113.53', {
        protocol: 'udp',
        portFirst: 53,
        portLast: 53,
        pool: 'dns',
        hash: '3-tuple',
        slots: 251,
      }),
      service('games', '203.0.113.10', {
        protocol: 'udp',
        portFirst: 8000,
        portLast: 8999,
        hash: 'source',
      }),
      service('web', '203.0.113.10', { secondChance: true }),
      service('web-6', '2001:db8::10', { secondChance: true }),
    ]);
  });

  it('prints the backends of the config, pool after pool, with the outer source of their family and the MTU given', () => {
    const backend = (name: string, address: string, rest: object = {}) => ({
      name,
      address,
      outerSource: address.includes(':') ? 'fd00::1' : '10.0.0.0',
      agent: true,
      mtu: 1400,
      interfaceIndex: 0,
      sourceMac: '02:00:00:00:00:01',
      ...rest,
    });
    const expected = [
      backend('web/web-1', '10.1.0.11', { id: 11, destinationMac: '02:01:0a:01:00:0b' }),
      backend('web/web-2', '10.1.0.12', { id: 12, destinationMac: '02:01:0a:01:00:0c' }),
      backend('web/web-3', 'fd00:0:0:1::13', { id: 19, destinationMac: '02:01:00:00:00:13' }),
      backend('web/web-4', '10.1.0.14', { id: 14, agent: false, destinationMac: '02:01:0a:01:00:0e' }),
      backend('dns/dns-1', '10.1.0.53', { id: 53, destinationMac: '02:01:0a:01:00:35' }),
      backend('dns/dns-2', '10.1.1.53', { id: 309, destinationMac: '02:01:0a:01:01:35' }),
    ];
    assert.deepEqual(
      summary.backends,
      expected.map((each, number) => ({ number, ...each })),
    );
  });

  it('prints the pools with the digests that `anyhop table` prints', () => {
    const pools = summary.pools.map(({ name, slots, layers, mode }: Record<string, unknown>) => ({
      name,
      slots,
      layers,
      mode,
    }));
    assert.deepEqual(pools, [
      { name: 'web', slots: 65537, layers: 4, mode: 'normal' },
      { name: 'dns', slots: 251, layers: 2, mode: 'normal' },
    ]);
    for (const { name, ownersDigest, alternatesDigest } of summary.pools) {
      const { stdout } = spawnSync(process.execPath, [MAIN, 'table', '-c', FULL, '--pool', name], {
        encoding: 'utf8',
      });
      assert.ok(stdout.includes(ownersDigest) && stdout.includes(alternatesDigest), stdout);
    }
  });

  it('gives the same digest for the same config, and another for another outer source', () => {
    assert.match(summary.digest, /^[0-9a-f]{64}$/);
    assert.equal(JSON.parse(image('--json', '--mtu', '1400')).digest, summary.digest);
    const other = JSON.parse(image('--json', '--mtu', '1400', '--source', '10.0.0.1', '--source', 'fd00::1'));
    assert.notEqual(other.digest, summary.digest);
    assert.equal(other.backends[0].outerSource, '10.0.0.1');
  });

  it('says the same for people, a line for each service and backend', () => {
    const text = image('--mtu', '1400');
    assert.ok(text.includes(summary.digest));
    assert.match(
      text,
      new RegExp(
        `^image +${summary.bytes} bytes, layout version ${L.IMAGE_VERSION}, flow hash version ${L.FLOW_HASH_VERSION}, generation 1$`,
        'm',
      ),
    );
    for (const line of [
      /^web +203\.0\.113\.10 +tcp 80 +web +5-tuple +on$/m,
      /^games +203\.0\.113\.10 +udp 8000-8999 +web +source +off$/m,
      /^pool web: 65537 slots, 4 layers, mode normal$/m,
      /^web\/web-3 +fd00:0:0:1::13 +19 +fd00::1 +1400 +yes +02:01:00:00:00:13$/m,
      /^web\/web-4 +10\.1\.0\.14 +14 +10\.0\.0\.0 +1400 +no +/m,
    ]) {
      assert.match(text, line);
    }
  });

  it('never shows the secret or a key that comes from it, in hex or as numbers', () => {
    const secret = readFileSync('test/config/full.key', 'utf8').trim();
    const text = image();
    const hidden = [secret, secret.slice(0, 8), Buffer.from(secret, 'hex').toString('base64')];
    for (const [mode, protocol, vip] of [
      ['5-tuple', 'tcp', '203.0.113.10'],
      ['5-tuple', 'tcp', '2001:db8::10'],
      ['source', 'udp', '203.0.113.10'],
      ['3-tuple', 'udp', '203.0.113.53'],
    ] as const) {
      for (const word of deriveFlowKey(Buffer.from(secret, 'hex'), mode, protocol, parseAddress(vip)!)) {
        const bytes = Buffer.alloc(4);
        bytes.writeInt32LE(word);
        hidden.push(String(word), String(word >>> 0), bytes.toString('hex'), (word >>> 0).toString(16));
      }
    }
    for (const each of hidden) assert.ok(!json.includes(each) && !text.includes(each), each);
  });
});
