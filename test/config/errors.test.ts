/** Every rule of the config, each with the exact place of its error: `^` marks where it must point. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { join, type Parts, parse, placeOf, problemsOf, unmark } from './fixture.js';

type Case = readonly [title: string, parts: Parts, field: string, message: RegExp];

const pool = (backends: string): Parts => ({
  pools: `pools:\n  dns:\n    backends: [{name: d, address: 10.9.9.9}]\n  web:\n${backends}`,
});
const services = (...lines: string[]): Parts => ({
  services: `services:\n${lines.map((line) => `  - ${line}\n`).join('')}  - {name: z1, vip: 198.51.100.1, protocol: tcp, port: 1, pool: web}
  - {name: z2, vip: 198.51.100.1, protocol: tcp, port: 2, pool: dns}\n`,
});
const secondChance = (backends: string): Parts => ({
  ...pool(backends),
  ...services('{name: a, vip: 198.51.100.9, protocol: tcp, port: 80, pool: web, second_chance: on}'),
});
const node = (lines: string): Parts => ({ node: `node:\n  interface: eth0\n${lines}` });
const SOURCE = '  source: 10.0.0.1\n';
const SECRET = '  key: 00112233445566778899aabbccddeeff\n';

const SHAPE: readonly Case[] = [
  [
    'an unknown key with a near one',
    pool('    backends: [{name: a, address: 10.1.0.1, ^wieght: 2}]\n'),
    'pools.web.backends[0].wieght',
    /^unknown key "wieght"; did you mean "weight"\?$/,
  ],
  [
    'an unknown key with the wrong word separator',
    pool('    ^tableSize: 65537\n    backends: [{name: a, address: 10.1.0.1}]\n'),
    'pools.web.tableSize',
    /did you mean "table_size"\?/,
  ],
  [
    'an unknown key that is near to none',
    { agent: '^zebra: 1\n' },
    'zebra',
    /expected one of node, pools, services, defend, agent, l7, announce, fleet, discover$/,
  ],
  [
    'a missing field in a flow mapping',
    pool('    backends: [{name: a, address: 10.1.0.1}, ^{name: b}]\n'),
    'pools.web.backends[1].address',
    /^missing; expected an IPv4 or IPv6 address$/,
  ],
  [
    'a missing field in a block mapping',
    pool('    backends:\n      - ^name: b\n        weight: 3\n'),
    'pools.web.backends[0].address',
    /^missing/,
  ],
  [
    'a missing section of a pool',
    { pools: 'pools:\n  dns: {backends: [{name: d, address: 10.9.9.9}]}\n  ^web:\n    table_size: 251\n' },
    'pools.web.backends',
    /^missing; expected a list of backends/,
  ],
  [
    'a field without a value',
    pool('    backends:\n      - name: b\n        ^address:\n'),
    'pools.web.backends[0].address',
    /^found an empty value; expected an IPv4/,
  ],
  [
    'a pool without a value',
    { pools: 'pools:\n  dns: {backends: [{name: d, address: 10.9.9.9}]}\n  ^web:\n' },
    'pools.web',
    /^found an empty value; expected a mapping/,
  ],
  [
    'a list where a mapping belongs',
    { pools: '^pools:\n  - web\n' },
    'pools',
    /^found a list; expected a mapping of pools/,
  ],
  [
    'a mapping where a list belongs',
    { services: 'services: ^{}\n' },
    'services',
    /^found a mapping; expected a list of services$/,
  ],
  [
    'an empty list of backends',
    pool('    backends: ^[]\n'),
    'pools.web.backends',
    /^found an empty list; expected a list of backends, at least one/,
  ],
  [
    'an empty prior state',
    pool('    backends: [{name: a, address: 10.1.0.1}]\n    prior: ^[]\n'),
    'pools.web.prior',
    /^found an empty list/,
  ],
  [
    'an empty mapping of pools',
    {
      pools: 'pools: ^{}\n',
      services: 'services: [{name: a, vip: 198.51.100.1, protocol: tcp, port: 1, pool: ^web}]\n',
    },
    'pools',
    /^found an empty mapping; expected at least one pool$/,
  ],
  [
    'a number for a name',
    pool('    backends: [{name: ^123, address: 10.1.0.1}]\n'),
    'pools.web.backends[0].name',
    /^found 123; expected a name.*must be in quotes$/,
  ],
  [
    'a truth value for a name',
    pool('    backends: [{name: ^true, address: 10.1.0.1}]\n'),
    'pools.web.backends[0].name',
    /^found true; .*must be in quotes$/,
  ],
  [
    'a number for an address',
    pool('    backends: [{name: a, address: ^10.0}]\n'),
    'pools.web.backends[0].address',
    /^found 10\.0; expected an IPv4 or IPv6 address; text that looks like a number/,
  ],
  [
    'an address with leading zeros',
    pool('    backends: [{name: a, address: ^010.1.0.1}]\n'),
    'pools.web.backends[0].address',
    /^found "010\.1\.0\.1"; expected an IPv4/,
  ],
  [
    'a prefix for an address',
    pool('    backends: [{name: a, address: ^10.1.0.0/24}]\n'),
    'pools.web.backends[0].address',
    /^found "10\.1\.0\.0\/24"/,
  ],
  [
    'a name with a space',
    pool('    backends: [{name: ^"a b", address: 10.1.0.1}]\n'),
    'pools.web.backends[0].name',
    /^found "a b"; expected a name: letters, digits/,
  ],
  [
    'a name that begins with a dash',
    pool('    backends: [{name: ^-a, address: 10.1.0.1}]\n'),
    'pools.web.backends[0].name',
    /^found "-a"/,
  ],
  [
    'a name of 64 characters',
    pool(`    backends: [{name: ^${'n'.repeat(64)}, address: 10.1.0.1}]\n`),
    'pools.web.backends[0].name',
    /63 characters at most$/,
  ],
  [
    'a bad pool name, whose pool is read on',
    {
      pools: 'pools:\n  ^"a b":\n    backends: [{name: a, address: ^10.1}]\n',
      services: 'services: [{name: a, vip: 198.51.100.1, protocol: tcp, port: 1, pool: a b}]\n',
    },
    'pools["a b"]',
    /^found "a b"; expected a name/,
  ],
  [
    'a weight above the limit',
    pool('    backends: [{name: a, address: 10.1.0.1, weight: ^65536}]\n'),
    'pools.web.backends[0].weight',
    /^found 65536; expected a whole number, 0 to 65535$/,
  ],
  [
    'a weight below zero',
    pool('    backends: [{name: a, address: 10.1.0.1, weight: ^-1}]\n'),
    'pools.web.backends[0].weight',
    /^found -1/,
  ],
  [
    'a weight that is no whole number',
    pool('    backends: [{name: a, address: 10.1.0.1, weight: ^1.5}]\n'),
    'pools.web.backends[0].weight',
    /^found 1\.5; expected a whole number/,
  ],
  [
    'a weight in quotes',
    pool('    backends: [{name: a, address: 10.1.0.1, weight: ^"2"}]\n'),
    'pools.web.backends[0].weight',
    /^found "2"; expected a whole number.*, without quotes$/,
  ],
  [
    'a weight with a leading zero',
    pool('    backends: [{name: a, address: 10.1.0.1, weight: ^010}]\n'),
    'pools.web.backends[0].weight',
    /leading zero.*octal/,
  ],
  [
    'a state that does not exist',
    pool('    backends: [{name: a, address: 10.1.0.1, state: ^down}]\n'),
    'pools.web.backends[0].state',
    /^found "down"; expected active or draining$/,
  ],
  [
    'a health mark outside the prior state',
    pool('    backends: [{name: a, address: 10.1.0.1, ^health: up}]\n'),
    'pools.web.backends[0].health',
    /^unknown key "health"/,
  ],
  [
    'a health mark that does not exist',
    pool(
      '    backends: [{name: a, address: 10.1.0.1}]\n    prior: [{name: a, address: 10.1.0.1, health: ^dead}]\n',
    ),
    'pools.web.prior[0].health',
    /^found "dead"; expected up or down$/,
  ],
  [
    'text for a truth value',
    pool('    backends: [{name: a, address: 10.1.0.1, agent: ^yes}]\n'),
    'pools.web.backends[0].agent',
    /^found "yes"; expected true or false$/,
  ],
  [
    'a panic threshold above one',
    pool('    panic_threshold: ^50\n    backends: [{name: a, address: 10.1.0.1}]\n'),
    'pools.web.panic_threshold',
    /^found 50; expected a share: a number, 0 to 1, or a percentage, 0% to 100%$/,
  ],
  [
    'a panic threshold that is not a number',
    pool('    panic_threshold: ^.nan\n    backends: [{name: a, address: 10.1.0.1}]\n'),
    'pools.web.panic_threshold',
    /^found \.nan; expected a share: a number, 0 to 1, or a percentage, 0% to 100%$/,
  ],
  [
    'an engine that does not exist',
    node(`${SOURCE}${SECRET}  engine: ^dpdk\n`),
    'node.engine',
    /^found "dpdk"; expected auto, xdp, af_xdp or portable$/,
  ],
  [
    'an interface name that a program would take for an option',
    { node: `node:\n${SOURCE}${SECRET}  interface: ^--help\n` },
    'node.interface',
    /^found "--help"; expected the name of a network interface/,
  ],
  [
    'an interface name of 16 characters',
    { node: `node:\n${SOURCE}${SECRET}  interface: ^abcdefghijklmnop\n` },
    'node.interface',
    /15 characters at most$/,
  ],
  [
    'a protocol in capitals',
    services('{name: a, vip: 198.51.100.9, protocol: ^TCP, port: 80, pool: web}'),
    'services[0].protocol',
    /^found "TCP"; expected tcp or udp$/,
  ],
  [
    'port 0',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: ^0, pool: web}'),
    'services[0].port',
    /^found 0; expected a port, 1 to 65535, or a range in quotes/,
  ],
  [
    'port 65536',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: ^65536, pool: web}'),
    'services[0].port',
    /^found 65536/,
  ],
  [
    'a range to port 65536',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: ^"1-65536", pool: web}'),
    'services[0].port',
    /^found "1-65536"/,
  ],
  [
    'a range that runs backwards',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: ^90-80, pool: web}'),
    'services[0].port',
    /^found "90-80"/,
  ],
  [
    'true for second chance',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: 80, pool: web, second_chance: ^true}'),
    'services[0].second_chance',
    /^found true; expected on or off/,
  ],
  [
    'yes for second chance',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: 80, pool: web, second_chance: ^yes}'),
    'services[0].second_chance',
    /^found "yes"; expected on or off$/,
  ],
  [
    'a hash that does not exist',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: 80, pool: web, hash: ^5tuple}'),
    'services[0].hash',
    /expected 5-tuple, 3-tuple or source$/,
  ],
  [
    'a source prefix with host bits',
    node(`  source: ^10.0.0.1/24\n${SECRET}`),
    'node.source',
    /^found "10\.0\.0\.1\/24"; expected an IPv4 or IPv6 address, or a prefix/,
  ],
  [
    'a bad entry in the list of sources',
    node(`  source: [10.0.0.1, ^nope]\n${SECRET}`),
    'node.source[1]',
    /^found "nope"/,
  ],
  [
    'an IPv6 prefix as a source',
    node(`  source: [10.0.0.0/28, ^"fd00::/64"]\n${SECRET}`),
    'node.source[1]',
    /^found the prefix fd00::\/64; expected one IPv6 address: over IPv6 the flow label spreads/,
  ],
  [
    'an empty list of sources',
    node(`  source: ^[]\n${SECRET}`),
    'node.source',
    /^found an empty list; expected an IPv4 entry, an IPv6 entry, or both$/,
  ],
  ['a number for the source', node(`  source: ^10\n${SECRET}`), 'node.source', /^found 10; expected/],
  [
    'a second chance prefix of another length',
    node(`${SOURCE}${SECRET}  second_chance_prefix: ^fd00::/64\n`),
    'node.second_chance_prefix',
    /expected an IPv6 prefix of length 96/,
  ],
  [
    'an agent without forwarders',
    { agent: '^agent:\n  interface: eth0\n' },
    'agent.forwarders',
    /^missing; expected a list of addresses or prefixes/,
  ],
  [
    'a table size below the limit',
    pool('    table_size: ^241\n    backends: [{name: a, address: 10.1.0.1}]\n'),
    'pools.web.table_size',
    /251/,
  ],
  [
    'a table size above the limit',
    pool('    table_size: ^655379\n    backends: [{name: a, address: 10.1.0.1}]\n'),
    'pools.web.table_size',
    /655373/,
  ],
];

const ACROSS: readonly Case[] = [
  [
    'a table size that is no prime',
    pool('    table_size: ^65536\n    backends: [{name: a, address: 10.1.0.1}]\n'),
    'pools.web.table_size',
    /^found 65536, which is not a prime; .*the next one is 65537$/,
  ],
  [
    'a backend name used twice',
    pool('    backends:\n      - {name: a, address: 10.1.0.1}\n      - {name: ^a, address: 10.1.0.2}\n'),
    'pools.web.backends[1].name',
    /^the backend name "a" is taken already \(line 12\)/,
  ],
  [
    'a backend address used twice, spelt in two ways',
    pool(
      '    backends:\n      - {name: a, address: "fd00:0:0:1::1"}\n      - {name: b, address: ^"FD00::1:0:0:0:1"}\n',
    ),
    'pools.web.backends[1].address',
    /^the backend address fd00:0:0:1::1 is taken already \(line 12\)/,
  ],
  [
    'a name used twice in the prior state',
    pool(
      '    backends: [{name: a, address: 10.1.0.1}]\n    prior:\n      - {name: b, address: 10.1.0.1}\n      - {name: ^b, address: 10.1.0.2}\n',
    ),
    'pools.web.prior[1].name',
    /"b" is taken already \(line 13\)/,
  ],
  [
    'a service name used twice',
    services(
      '{name: a, vip: 198.51.100.9, protocol: tcp, port: 80, pool: web}',
      '{name: ^a, vip: 198.51.100.9, protocol: tcp, port: 81, pool: web}',
    ),
    'services[1].name',
    /"a" is taken already \(line 16\)/,
  ],
  [
    'a pool that does not exist, near to one',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: 80, pool: ^wbe}'),
    'services[0].pool',
    /^found "wbe", which is not a pool; did you mean "web"\?$/,
  ],
  [
    'a pool that does not exist, near to none',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: 80, pool: ^images}'),
    'services[0].pool',
    /^found "images", which is not a pool; expected the name of a pool/,
  ],
  [
    'a pool named like a property of every object',
    services('{name: a, vip: 198.51.100.9, protocol: tcp, port: 80, pool: ^constructor}'),
    'services[0].pool',
    /^found "constructor", which is not a pool/,
  ],
  [
    'ports that overlap',
    services(
      '{name: a, vip: 198.51.100.9, protocol: tcp, port: 8000-8999, pool: web}',
      '{name: b, vip: 198.51.100.9, protocol: tcp, port: ^8999, pool: web}',
    ),
    'services[1].port',
    /^port 8999 of 198\.51\.100\.9 tcp overlaps port 8000-8999 of service "a" \(line 16\)/,
  ],
  [
    'a VIP that is a backend',
    services('{name: a, vip: ^10.1.0.12, protocol: tcp, port: 80, pool: web}'),
    'services[0].vip',
    /^10\.1\.0\.12 is the address of pools\.web\.backends\[1\] too \(line 11\)/,
  ],
  [
    'a VIP within the source',
    {
      ...services('{name: a, vip: ^10.0.0.9, protocol: tcp, port: 80, pool: web}'),
      ...node(`  source: 10.0.0.0/28\n${SECRET}`),
    },
    'services[0].vip',
    /^10\.0\.0\.9 lies in the source 10\.0\.0\.0\/28 \(line 3\)/,
  ],
  [
    'a backend of a family without a source',
    { ...node(`${SOURCE}${SECRET}`), ...pool('    backends: [{name: a, address: ^"fd00::9"}]\n') },
    'pools.web.backends[0].address',
    /node\.source has no IPv6 entry/,
  ],
  [
    'two sources of one family',
    node(`  source: [10.0.0.1, ^10.0.0.2]\n${SECRET}`),
    'node.source[1]',
    /^found a second IPv4 entry \(the first: line 3\)/,
  ],
  [
    'both key and key_file',
    node(`${SOURCE}${SECRET}  ^key_file: /nowhere/key\n`),
    'node.key_file',
    /^found both key and key_file; expected one of the two$/,
  ],
  [
    'second chance for UDP',
    services('{name: a, vip: 198.51.100.9, protocol: udp, port: 80, pool: web, second_chance: ^on}'),
    'services[0].second_chance',
    /^found on for a UDP service; expected off/,
  ],
  [
    'an id that is none',
    pool('    backends: [{name: a, address: 10.1.0.1, id: ^0}]\n'),
    'pools.web.backends[0].id',
    /^found 0; expected a whole number, 1 to 32767$/,
  ],
  [
    'two backends with the same low 15 bits',
    secondChance(
      '    backends:\n      - {name: a, address: 10.1.0.11}\n      - {name: b, address: ^10.2.0.11}\n      - {name: c, address: 10.1.127.255}\n',
    ),
    'pools.web.backends[1].address',
    /^the low 15 bits of 10\.2\.0\.11 are 11, the id of 10\.1\.0\.11 of pools\.web\.backends\[0\] \(line 12\); expected a free id beside the address: id: 32766$/,
  ],
  [
    'the low 15 bits of a backend as the id of another',
    secondChance('    backends: [{name: a, address: ^10.1.0.11}, {name: b, address: 10.2.0.12, id: 11}]\n'),
    'pools.web.backends[0].address',
    /^the low 15 bits of 10\.1\.0\.11 are 11, the id of 10\.2\.0\.12 of pools\.web\.backends\[1\] \(line 11\); expected a free id beside the address: id: 32767$/,
  ],
  [
    'a backend whose low 15 bits are all zero',
    secondChance('    backends: [{name: a, address: ^"fd00::9:8000"}]\n'),
    'pools.web.backends[0].address',
    /^the low 15 bits of fd00::9:8000 are 0, which names no backend; expected a free id beside the address: id: 32767$/,
  ],
  [
    'one id for two backends',
    secondChance(
      '    backends: [{name: a, address: 10.1.0.11, id: 7}, {name: b, address: 10.1.0.12, agent: false, id: ^7}]\n',
    ),
    'pools.web.backends[1].id',
    /^found 7, the id of 10\.1\.0\.11 of pools\.web\.backends\[0\] \(line 11\); expected a free one: id: 32767$/,
  ],
  [
    'two ids for one address',
    secondChance(
      '    backends: [{name: a, address: 10.1.0.11, id: 7}]\n    prior: [{name: a, address: 10.1.0.11, id: ^8}]\n',
    ),
    'pools.web.prior[0].id',
    /^found 8, but pools\.web\.backends\[0\] \(line 11\) gives 10\.1\.0\.11 the id 7; expected id: 7$/,
  ],
  [
    'one id in two pools with second chance',
    {
      pools:
        'pools:\n  dns:\n    backends: [{name: d, address: 10.1.0.1}]\n' +
        '  web:\n    backends: [{name: a, address: ^"fd00::1"}]\n',
      ...services(
        '{name: a, vip: 198.51.100.9, protocol: tcp, port: 80, pool: web, second_chance: on}',
        '{name: b, vip: 198.51.100.9, protocol: tcp, port: 81, pool: dns, second_chance: on}',
      ),
    },
    'pools.web.backends[0].address',
    /^the low 15 bits of fd00::1 are 1, the id of 10\.1\.0\.1 of pools\.dns\.backends\[0\] \(line 9\)/,
  ],
  [
    'an empty list of services',
    { services: 'services: ^[]\n' },
    'services',
    /^found an empty list; expected at least one service$/,
  ],
  [
    'a default route as a forwarder',
    { agent: 'agent: {forwarders: [^0.0.0.0/0]}\n' },
    'agent.forwarders[0]',
    /^0\.0\.0\.0\/0 contains addresses that are/,
  ],
];

const NEEDS: readonly Case[] = [
  ['a file without a node', { node: '^' }, 'node', /^missing; expected a mapping with this node/],
  [
    'a file without services',
    {
      services: '',
      node: '^node:\n  interface: eth0\n  source: 10.0.0.1\n  key: 00112233445566778899aabbccddeeff\n',
    },
    'services',
    /^missing; expected a list of services$/,
  ],
  [
    'a file without pools',
    {
      pools: '',
      node: '^node:\n  interface: eth0\n  source: 10.0.0.1\n  key: 00112233445566778899aabbccddeeff\n',
    },
    'pools',
    /^missing; expected a mapping of pools by name$/,
  ],
  [
    'a node without an interface',
    { node: `^node:\n${SOURCE}${SECRET}` },
    'node.interface',
    /^missing; .*--interface or in ANYHOP_INTERFACE$/,
  ],
  [
    'a node without a source',
    { node: `^node:\n  interface: eth0\n${SECRET}` },
    'node.source',
    /^missing; .*--source or in ANYHOP_SOURCE$/,
  ],
  [
    'a node without a key',
    { node: `^node:\n  interface: eth0\n${SOURCE}` },
    'node.key_file',
    /^missing; expected the path of the file with the secret/,
  ],
];

for (const [group, cases] of Object.entries({
  'the shape': SHAPE,
  'rules over several fields': ACROSS,
  'what must be there': NEEDS,
})) {
  describe(`config errors about ${group}`, () => {
    for (const [title, parts, field, message] of cases) {
      it(`point at ${title}`, () => {
        const { text, places } = unmark(join(parts));
        const problems = problemsOf(text);
        const lines = problems
          .map((problem) => `${placeOf(problem)} ${problem.field}: ${problem.message}`)
          .join('\n');
        assert.deepEqual([...new Set(problems.map(placeOf))], places, lines);
        const problem = problems.find(
          (candidate) => candidate.field === field && message.test(candidate.message),
        );
        assert.ok(problem, `no ${field}: ${message} in\n${lines}`);
        assert.equal(placeOf(problem), places[0]);
      });
    }
  });
}

describe('config errors about addresses that cannot be such', () => {
  const UNUSABLE = {
    '0.0.0.0': 'unspecified',
    '127.0.0.1': 'loopback',
    '169.254.1.1': 'link-local',
    '224.0.0.5': 'multicast',
    '255.255.255.255': 'broadcast',
    '::': 'unspecified',
    '::1': 'loopback',
    'fe80::1': 'link-local',
    'ff02::1': 'multicast',
    '::ffff:10.0.0.1': 'IPv4-mapped',
  };
  const PLACES: Record<string, (address: string) => readonly [Parts, string]> = {
    backend: (address) => [
      pool(`    backends: [{name: a, address: ^"${address}"}]\n`),
      'pools.web.backends[0].address',
    ],
    'member of a prior state': (address) => [
      pool(`    backends: [{name: a, address: 10.1.0.1}]\n    prior: [{name: a, address: ^"${address}"}]\n`),
      'pools.web.prior[0].address',
    ],
    VIP: (address) => [
      services(`{name: a, vip: ^"${address}", protocol: tcp, port: 80, pool: web}`),
      'services[0].vip',
    ],
    source: (address) => [
      {
        ...node(`  source: [${address.includes(':') ? '10.0.0.1' : '"fd00::1"'}, ^"${address}"]\n${SECRET}`),
      },
      'node.source[1]',
    ],
    forwarder: (address) => [{ agent: `agent: {forwarders: [^"${address}"]}\n` }, 'agent.forwarders[0]'],
  };
  for (const [kind, place] of Object.entries(PLACES)) {
    for (const [address, why] of Object.entries(UNUSABLE)) {
      it(`refuse ${address} as a ${kind}`, () => {
        const [parts, field] = place(address);
        const { text, places } = unmark(join(parts));
        const problems = problemsOf(text);
        assert.deepEqual(
          problems.map((problem) => [placeOf(problem), problem.field]),
          [[places[0], field]],
        );
        // As it is written in the file.
        assert.ok(problems[0].message.startsWith(`${address} is ${why}`), problems[0].message);
      });
    }
  }
});

describe('config errors', () => {
  it('come all at once, in the order of the file', () => {
    const { text, places } = unmark(
      join({
        node: `node:\n  interface: eth0\n  engine: ^fast\n${SOURCE}${SECRET}`,
        pools:
          'pools:\n  web:\n    backends:\n      - {name: a, address: ^x, ^zz: 1}\n      - {name: b, address: ^127.0.0.1}\n',
        services:
          'services:\n  - {name: s, vip: 198.51.100.1, protocol: ^icmp, port: 1, pool: web}\n  - {name: ^s, vip: 198.51.100.1, protocol: tcp, port: ^0, pool: ^wep}\n',
      }),
    );
    assert.deepEqual(problemsOf(text).map(placeOf), places);
  });

  it('print as file:line:column: field: message, one a line', () => {
    const text = join(pool('    backends: [{name: a, address: x}, {name: b, address: y}]\n'));
    assert.throws(() => parse(text), {
      code: 'ERR_CONFIG',
      exitCode: 2,
      message:
        '/nowhere/anyhop.yaml:11:35: pools.web.backends[0].address: found "x"; expected an IPv4 or IPv6 address\n' +
        '/nowhere/anyhop.yaml:11:58: pools.web.backends[1].address: found "y"; expected an IPv4 or IPv6 address',
    });
  });
});
