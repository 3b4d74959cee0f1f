/** What the printed configs refuse, and that nothing but addresses and numbers gets into them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FORMATS } from '#anyhop/announce/print/formats.js';
import { type PrintOptions, parseBfd, parseNeighbor } from '#anyhop/announce/print/options.js';
import { parseConfig } from '#anyhop/config/load.js';
import { parseAddress, parsePrefix } from '#anyhop/packet/address.js';
import { configText, neighbors, printed } from './site.js';

const MAIN = '{table: main}'; // all daemons can take rows from it
const CONTEXT = { program: '/usr/bin/anyhop' };
const BOTH = neighbors('10.9.1.1', 'fd09:1::1');

const BGP = Object.entries(FORMATS).filter(([, { takes }]) => takes.includes('neighbors'));

describe('options of printed configs', () => {
  test('a neighbour is an address, with or without the number of its autonomous system', () => {
    assert.deepEqual(parseNeighbor('192.0.2.1'), { address: parseAddress('192.0.2.1'), asn: undefined });
    assert.deepEqual(parseNeighbor('2001:db8::1=4200000000'), {
      address: parseAddress('2001:db8::1'),
      asn: 4_200_000_000,
    });
    for (const text of [
      '',
      'router',
      '192.0.2.1=',
      '192.0.2.1=0',
      '192.0.2.1=23456',
      '192.0.2.1=4294967295',
      '192.0.2.1=1=2',
      '192.0.2.0/24',
      'fe80::1=64512',
      'fe80::1%eth0',
      '192.0.2.1; }',
    ])
      assert.equal(parseNeighbor(text), undefined, text);
  });

  test('the timing of BFD is bounded', () => {
    const timing = (multiplier: number, intervalMs: number) => ({ multiplier, intervalMs });
    assert.deepEqual(parseBfd('3x300ms'), timing(3, 300));
    assert.deepEqual(parseBfd('2x10ms'), timing(2, 10));
    assert.deepEqual(parseBfd('255x60000ms'), timing(255, 60_000));
    for (const text of ['', '3', '1x300ms', '256x300ms', '3x9ms', '3x60001ms', '3x1s', '3x300ms;'])
      assert.equal(parseBfd(text), undefined, text);
  });

  for (const [what, format, options, message] of [
    ['no neighbour', 'bird', {}, /--neighbor is missing: --print bird needs the address of each router/],
    [
      'no neighbour at a router',
      'bird-router',
      {},
      /--print bird-router needs the address of each forwarder/,
    ],
    [
      'no neighbour for the IPv6 VIPs',
      'bird',
      { neighbors: neighbors('10.9.1.1') },
      /no --neighbor has an IPv6 address, so nobody would learn of 2001:db8:100::10/,
    ],
    [
      'a neighbour twice',
      'bird',
      { neighbors: neighbors('10.9.1.1', '10.9.1.1=3') },
      /10\.9\.1\.1 is given twice/,
    ],
    ['one AS for both sides', 'bird', { neighbors: BOTH, asn: 64512 }, /both in AS 64512/],
    [
      'prefixes without a VIP',
      'bird-router',
      { neighbors: BOTH, prefixes: [parsePrefix('203.0.113.0/24')!] },
      /no --prefix contains 2001:db8:100::10/,
    ],
  ] as const)
    test(`${what} is refused`, async () => {
      await assert.rejects(printed(format, options), { code: 'ERR_USAGE', message });
    });

  test('a forwarder without a single IPv4 source address needs a router ID', async () => {
    for (const [source, message] of [
      ['[fd09:1::2]', /--router-id is missing, and node.source has no IPv4 address/],
      ['[10.0.9.0/28]', /--router-id is missing, and node.source has 10.0.9.0\/28/],
    ] as const) {
      const config = parseConfig(configText('{}', source), 'x.yaml', { role: 'announce', env: {} });
      const write = await FORMATS['bird']!.load();
      assert.throws(() => write(config, { neighbors: BOTH }, CONTEXT), { code: 'ERR_USAGE', message });
      assert.match(
        write(config, { neighbors: BOTH, routerId: parseAddress('192.0.2.9')! }, CONTEXT),
        /^router id 192.0.2.9;$/m,
      );
    }
  });

  test('the source that the environment gives a node of a fleet is its router ID', async () => {
    const config = parseConfig(configText('{}'), 'x.yaml', {
      role: 'announce',
      env: { ANYHOP_SOURCE: '192.0.2.7' },
    });
    const write = await FORMATS['bird']!.load();
    assert.match(write(config, { neighbors: BOTH }, CONTEXT), /^router id 192.0.2.7;$/m);
  });

  test('the path of the config file ends no comment', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 20 }), async (file) => {
        const config = parseConfig(configText(MAIN), `\n${file}`, { role: 'announce', env: {} });
        const lines = async (of: typeof config, format: string): Promise<string[]> =>
          (await FORMATS[format]!.load())(of, { neighbors: BOTH }, CONTEXT).split('\n');
        const plain = parseConfig(configText(MAIN), 'plain.yaml', { role: 'announce', env: {} });
        for (const [format] of BGP) {
          const [odd, usual] = [await lines(config, format), await lines(plain, format)];
          const differing = odd.filter((line, i) => line !== usual[i]);
          assert.ok(differing.length === 1 && odd.length === usual.length && /^[#!]/.test(differing[0]!));
        }
      }),
      { numRuns: 10 },
    );
  });

  test('each option that a format takes changes what it writes', async () => {
    const others: PrintOptions = {
      asn: 65_001,
      routerId: parseAddress('192.0.2.99')!,
      bfd: { multiplier: 7, intervalMs: 70 },
      prefixes: [parsePrefix('203.0.113.0/24')!, parsePrefix('2001:db8:100::/64')!],
      neighbors: neighbors('10.9.7.1=65002', 'fd09:7::1'),
      localAddresses: [parseAddress('10.9.7.2')!, parseAddress('fd09:7::2')!],
    };
    for (const [format, { takes }] of BGP) {
      const usual = await printed(format, { neighbors: BOTH }, MAIN);
      for (const name of takes)
        assert.notEqual(
          await printed(format, { neighbors: BOTH, [name]: others[name] }, MAIN),
          usual,
          `${format} ${name}`,
        );
    }
  });
});
