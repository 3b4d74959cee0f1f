/** The printed config of keepalived: what it takes from options and config, what it refuses, and that keepalived reads it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type InterfaceAddress,
  type KeepalivedOptions,
  keepalivedPair,
  PRIORITY_MAX,
  parseHost,
  parseInterfaceAddress,
} from '#anyhop/announce/print/keepalived.js';
import { parseConfig } from '#anyhop/config/load.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { inNamespace, run } from '../../../scripts/lab/command.js';
import { Resources } from '../../../scripts/lab/resources.js';
import { missingForIsolation } from '../../isolation.js';

const NODE = 'name: edge-1, interface: eth0, source: [10.9.0.2, "fd09::2"]';
const TRACK = '{track_file: /run/anyhop-track/priority}';
const addresses = (...texts: string[]): InterfaceAddress[] =>
  texts.map((text) => parseInterfaceAddress(text)!);
const BOTH = addresses('10.9.0.1/24', '2001:db8:9::1/64');
/** keepalived can hang on what it does not expect. */
const TEST_MS = 10_000;

interface Written {
  readonly node?: string;
  readonly announce?: string;
  readonly vips?: readonly string[];
}

function print(
  options: KeepalivedOptions,
  { node = NODE, announce = TRACK, vips = ['203.0.113.10', '2001:db8:100::10'] }: Written = {},
): string {
  const text = `node: {${node}}
announce: ${announce}
pools: {web: {backends: [{name: web-1, address: 10.1.0.11}]}}
services:
${vips.map((vip, i) => `  - {name: web-${i}, vip: "${vip}", protocol: tcp, port: 80, pool: web}\n`).join('')}`;
  return keepalivedPair(parseConfig(text, 'anyhop.yaml', { role: 'announce', env: {} }), options);
}

describe('the printed config of keepalived', () => {
  test('a floating gateway keeps the length of its network, and is no group of hosts', () => {
    assert.deepEqual(parseInterfaceAddress('10.9.0.1/24'), { address: parseAddress('10.9.0.1'), length: 24 });
    assert.deepEqual(parseInterfaceAddress('FE80::1/64'), { address: parseAddress('fe80::1'), length: 64 });
    for (const text of [
      '10.9.0.1',
      '10.9.0.1/',
      '10.9.0.1/0',
      '10.9.0.1/33',
      'fe80::1/129',
      'fe80::1%eth0/64',
      '224.0.0.18/32',
      '255.255.255.255/32',
      'ff02::12/128',
      '0.0.0.0/24',
      '::/64',
      '10.9.0.1/24 dev lo',
      '10.9.0.1/24\n}',
    ])
      assert.equal(parseInterfaceAddress(text), undefined, text);
  });

  test('no file that says otherwise: the nodes are equals, and the better one by the track file is master', () => {
    const text = print({ addresses: BOTH });
    assert.equal(text.match(/^ {4}state BACKUP/gm)?.length, 2);
    assert.equal(text.match(/^ {4}priority 150 /gm)?.length, 2);
    assert.match(text, /^ {4}file \/run\/anyhop-track\/priority$/m);
    assert.doesNotMatch(text, /^\s*(nopreempt|preempt_delay|use_vmac|unicast_peer)/m);
    // The first address of IPv6 is a link-local one.
    assert.match(
      text,
      /virtual_ipaddress \{\n +fe80::200:5eff:fe00:233\/64 dev eth0\n +2001:db8:9::1\/64 dev eth0\n/,
    );
    assert.match(text, /# {3}ip route add 203\.0\.113\.10\/32 via 10\.9\.0\.1\n/);
    assert.match(text, /# {3}ip route add 2001:db8:100::10\/128 via 2001:db8:9::1\n/);
  });

  for (const [what, options, message, written] of [
    ['nothing that floats', {}, /--address is missing/],
    ['both kinds', { addresses: BOTH, vips: true }, /--vips and --address are two kinds of pairs/],
    [
      'VIPs that the node refuses',
      { vips: true },
      /--vips makes the VIPs addresses of the active node, which refuses/,
    ],
    ['no track file', { addresses: BOTH }, /announce\.track_file is missing/, { announce: '{}' }],
    [
      'a track file that is two words',
      { addresses: BOTH },
      /would not read announce\.track_file \/run\/a b as one word/,
      { announce: '{track_file: /run/a b}' },
    ],
    [
      'no interface',
      { addresses: BOTH },
      /--interface is missing, and so is node\.interface/,
      { node: 'name: edge-1' },
    ],
    ['a strange interface', { addresses: BOTH, interface: 'eth0 }' }, /as one word/],
    ['an address twice', { addresses: [...BOTH, ...BOTH] }, /--address 10\.9\.0\.1 is given twice/],
    [
      'a VIP for a gateway',
      { addresses: addresses('203.0.113.10/32', 'fe80::1/64') },
      /203\.0\.113\.10 is a VIP/,
    ],
    [
      'the address of the node for a gateway',
      { addresses: addresses('10.9.0.2/24', 'fe80::1/64') },
      /--address 10\.9\.0\.2 is node\.source/,
    ],
    [
      'no gateway for the IPv6 VIPs',
      { addresses: addresses('10.9.0.1/24') },
      /no --address is an IPv6 address, so nobody could route 2001:db8:100::10 here/,
    ],
    [
      'three nodes',
      { addresses: BOTH, peers: ['10.9.0.3', '10.9.0.4'].map((text) => parseHost(text)!) },
      /--peer 10\.9\.0\.4 is a second IPv4 address/,
    ],
    [
      'a peer that keepalived would not know',
      { addresses: BOTH, peers: [parseHost('2001:db8:9::3')!] },
      /--peer 2001:db8:9::3 is no link-local address/,
    ],
    [
      'a peer that floats',
      { addresses: BOTH, peers: [parseHost('10.9.0.1')!] },
      /--peer 10\.9\.0\.1 floats itself/,
    ],
    [
      'a peer of an IP version that nothing has',
      { addresses: addresses('10.9.0.1/24'), peers: [parseHost('fe80::3')!] },
      /--peer fe80::3 is IPv6, and nothing IPv6 floats/,
      { vips: ['203.0.113.10'] },
    ],
  ] as const satisfies readonly (readonly [string, KeepalivedOptions, RegExp, Written?])[])
    test(`${what} is refused, with what to do`, () => {
      assert.throws(
        () => print(options, written),
        (error) =>
          error instanceof AnyhopError &&
          error.code === 'ERR_USAGE' &&
          message.test(error.message) &&
          !!error.hint,
      );
    });

  test('names and paths of the config never become settings of keepalived', () => {
    const word = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(word, (text) => {
        let printed: string;
        try {
          printed = print({ addresses: BOTH }, { announce: JSON.stringify({ track_file: `/${text}` }) });
        } catch (error) {
          assert.ok(error instanceof AnyhopError);
          return;
        }
        assert.equal(
          printed.replace(`    file /${text}\n`, '    file /x\n'),
          print({ addresses: BOTH }, { announce: '{track_file: /x}' }),
        );
      }),
    );
  });
});

describe('keepalived itself', { skip: missingForIsolation('keepalived') }, () => {
  test('reads the config of either kind, with each option', { timeout: 60_000 }, async () => {
    const resources = new Resources();
    try {
      const namespace = resources.addNamespace('node');
      const file = join(resources.directory, 'keepalived.conf');
      await run(['ip', '-n', namespace, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth1']);
      const read = async (text: string): Promise<string> => {
        writeFileSync(file, text);
        const argv = inNamespace(namespace, ['timeout', '-s', 'KILL', '5', 'keepalived', '-t', '-f', file]);
        return run(argv, { timeoutMs: TEST_MS });
      };
      const vips = Array.from({ length: 300 }, (_, i) => `10.200.${i >> 8}.${i & 255}`);
      const local = { node: `${NODE}, local_vips: true` };
      for (const text of [
        print({ addresses: BOTH }),
        print({ addresses: BOTH, peers: [parseHost('10.9.0.3')!, parseHost('fe80::3')!] }),
        print({
          addresses: addresses('10.9.0.1/24', 'fe80::1/64'),
          vrid: 255,
          priority: PRIORITY_MAX,
          interface: 'eth1',
        }),
        print({ vips: true }, local),
        print({ vips: true }, { ...local, vips: [...vips, '2001:db8:100::10'] }),
      ])
        await read(text);
      // It would say so if it did not.
      await assert.rejects(read(print({ addresses: BOTH }).replace('advert_int', 'advert_interval')));
    } finally {
      await resources.close();
    }
  });
});
