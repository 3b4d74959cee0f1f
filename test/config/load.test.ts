/** Good configs: what comes out, defaults, who needs what, and what comes before what. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '#anyhop/config/error.js';
import type { LoadOptions } from '#anyhop/config/load.js';
import { loadConfig, parseConfig } from '#anyhop/config/load.js';
import type { Role } from '#anyhop/config/types.js';
import { FILE, join, KEY, NODE, POOLS, parse, problemsOf, SERVICES } from './fixture.js';

const FULL = fileURLToPath(new URL('../../../test/config/full.yaml', import.meta.url));

/** The smallest config that shows every part. */
const SMALLEST = `node:
  name: edge-1
  interface: eth0
  engine: auto
  source: [10.0.0.1]          # outer source, one IPv4 and/or one IPv6; or prefixes: [10.0.0.0/28]
  key_file: /etc/anyhop/key   # the fleet's secret; or key: at least 32 hex digits
pools:
  web:
    backends:
      - {name: web-1, address: 10.1.0.11}
      - {name: web-2, address: 10.1.0.12, weight: 2, state: draining}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
`;

describe('the smallest config', () => {
  it('is good, and what it does not say has its default', () => {
    const { pools, services, warnings } = parse(SMALLEST, 'pools');
    assert.deepEqual(warnings, []);
    const [pool] = pools;
    assert.equal(pool.name, 'web');
    assert.equal(pool.tableSize, 65537);
    assert.equal(pool.panicThreshold, 0);
    assert.equal(pool.prior, undefined);
    assert.deepEqual(
      pool.backends.map(({ name, address, weight, state, agent }) => [
        name,
        address.text,
        weight,
        state,
        agent,
      ]),
      [
        ['web-1', '10.1.0.11', 1, 'active', true],
        ['web-2', '10.1.0.12', 2, 'draining', true],
      ],
    );
    const { vip, ...service } = services[0];
    assert.equal(vip.text, '203.0.113.10');
    assert.deepEqual(service, {
      name: 'web',
      protocol: 'tcp',
      portFirst: 80,
      portLast: 80,
      pool: 'web',
      hash: '5-tuple',
      secondChance: false,
    });
  });

  it('runs a node once its key is there', () => {
    const { node } = parse(SMALLEST.replace(/key_file: \S+/, `key: ${KEY}`));
    assert.equal(node.name, 'edge-1');
    assert.equal(node.interface, 'eth0');
    assert.equal(node.engine, 'auto');
    assert.equal(node.busyPollUs, 50);
    assert.equal(node.bpffs, '/sys/fs/bpf');
    assert.equal(node.socket, '/run/anyhop/edge-1.sock');
    assert.equal(node.source4?.text, '10.0.0.1/32');
    assert.equal(node.source6, undefined);
    assert.equal(Buffer.from(node.key.reveal()).toString('hex'), KEY);
  });
});

describe('the full example', () => {
  it('is good for every reader', () => {
    for (const role of ['run', 'node', 'agent', 'pools'] as const) {
      const config = loadConfig(FULL, { role, env: {} });
      assert.deepEqual(
        config.pools.map(({ name }) => name),
        ['web', 'dns'],
      );
      assert.equal(config.node !== undefined, role === 'run' || role === 'node');
    }
  });

  it('comes out as it is written', () => {
    const { node, pools, services, agent } = loadConfig(FULL, { role: 'run', env: {} });
    assert.equal(node.source4?.text, '10.0.0.0/28');
    assert.equal(node.source6?.text, 'fd00::1/128');
    assert.equal(Buffer.from(node.key.reveal()).toString('hex'), '00112233445566778899aabbccddeeff');
    assert.equal(pools[0].panicThreshold, 0.5);
    assert.deepEqual(
      pools[0].backends.map(({ agent }) => agent),
      [true, true, true, false],
    );
    assert.deepEqual(
      pools[0].backends.map(({ id }) => id),
      [11, 12, 0x13, 14],
    );
    assert.deepEqual(
      pools[0].prior?.map(({ name, health }) => `${name} ${health}`),
      ['web-1 up', 'web-2 down', 'web-3 up'],
    );
    assert.equal(pools[1].tableSize, 251);
    assert.deepEqual([services[2].portFirst, services[2].portLast, services[2].hash], [8000, 8999, 'source']);
    assert.deepEqual(
      services.map(({ secondChance }) => secondChance),
      [true, true, false, false],
    );
    assert.deepEqual(
      agent?.forwarders.map(({ text }) => text),
      ['10.0.0.0/24', 'fd00::/64'],
    );
    assert.equal(agent?.interface, 'eth0');
    assert.deepEqual([agent?.bpffs, agent?.reportPort, agent?.vipElsewhere], ['/sys/fs/bpf', 9611, false]);
    assert.equal(agent?.runDirectory, '/run/anyhop');
  });

  it('names every field that the schema knows', () => {
    const text = readFileSync(FULL, 'utf8').replaceAll(/#.*/g, '');
    for (const field of [
      'key_file',
      'id',
      'table_size',
      'panic_threshold',
      'prior',
      'health',
      'dead_after',
      'hash',
      'forwarders',
    ]) {
      assert.match(text, new RegExp(`\\b${field}:`));
    }
  });
});

describe('a config', () => {
  it('is frozen through and through', () => {
    const config = parse(join({ agent: 'agent: {forwarders: [10.0.0.1]}\n' }));
    const walk = (value: unknown): void => {
      if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
      if (value.constructor !== Object && !Array.isArray(value)) return;
      assert.ok(Object.isFrozen(value), JSON.stringify(value));
      for (const part of Object.values(value)) walk(part);
    };
    walk(config);
  });

  it('takes source as a single text, and a port as text', () => {
    const node = NODE.replace(/source: .*/, 'source: 10.0.0.0/28');
    const config = parse(join({ node, services: SERVICES.replace('port: 80', 'port: "80"') }));
    assert.equal(config.node.source4?.text, '10.0.0.0/28');
    assert.equal(config.services[0].portLast, 80);
  });

  it('takes the name of the host for the name of the node', {
    skip: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(hostname())
      ? false
      : 'this host has a name that no node can have',
  }, () => {
    assert.equal(parse(join({ node: NODE.replace('  name: edge-1\n', '') })).node.name, hostname());
  });

  it('lets a name stand for another address in the prior state', () => {
    const pools = POOLS.replace('  dns:', '    prior: [{name: web-1, address: 10.1.0.99}]\n  dns:');
    assert.equal(parse(join({ pools })).pools[0].prior?.[0].address.text, '10.1.0.99');
  });

  it('lets services share a VIP and port by protocol, and a VIP by port', () => {
    const services = `${SERVICES}  - {name: a, vip: 203.0.113.10, protocol: udp, port: 80, pool: web}
  - {name: b, vip: 203.0.113.10, protocol: tcp, port: 81-90, pool: web}
  - {name: c, vip: 203.0.113.10, protocol: tcp, port: 1-79, pool: web}\n`;
    assert.deepEqual(problemsOf(join({ services })), []);
  });

  it('lets one address stand in several pools, and in backends and prior', () => {
    const pools = POOLS.replace('10.1.0.53', '10.1.0.11').replace(
      '  dns:',
      '    prior: [{name: old, address: 10.1.0.11}]\n  dns:',
    );
    const services = SERVICES.replace('pool: web}', 'pool: web, second_chance: on}');
    assert.deepEqual(problemsOf(join({ pools, services })), []);
  });
});

describe('what a file must have', () => {
  it('is a node for run and node, an agent for agent, pools for all', () => {
    const fieldsMissing = (text: string, role: Role) => problemsOf(text, role).map(({ field }) => field);
    assert.deepEqual(fieldsMissing(POOLS, 'pools'), []);
    assert.deepEqual(fieldsMissing(POOLS, 'node'), ['node', 'services']);
    assert.deepEqual(fieldsMissing(POOLS, 'agent'), ['services', 'agent']);
    assert.deepEqual(fieldsMissing(join({ node: '' }), 'run'), ['node']);
    assert.deepEqual(
      fieldsMissing(join({ node: '', agent: 'agent: {forwarders: [10.0.0.1]}\n' }), 'agent'),
      [],
    );
    const bare = NODE.replace('  interface: eth0\n', '');
    assert.deepEqual(fieldsMissing(join({ node: bare }), 'node'), []);
    assert.deepEqual(fieldsMissing(join({ node: bare }), 'run'), ['node.interface']);
    assert.deepEqual(fieldsMissing(join({ node: 'node: {}\n' }), 'pools'), []);
    assert.deepEqual(fieldsMissing(join({ node: 'node: {}\n' }), 'run'), [
      'node.source',
      'node.interface',
      'node.key_file',
    ]);
  });

  it('is not a readable key file where the key is not used', () => {
    const text = join({
      node: NODE.replace(/key: .*/, 'key_file: /nowhere/key'),
      agent: 'agent: {forwarders: [10.0.0.1]}\n',
    });
    assert.equal(parse(text, 'pools').node, undefined);
    assert.equal(parse(text, 'agent').node, undefined);
    assert.deepEqual(
      problemsOf(text, 'node').map(({ field, message }) => [field, message]),
      [['node.key_file', '"/nowhere/key": no such file; check the path']],
    );
  });
});

describe('name, interface and source', () => {
  const load = <R extends Role>(text: string, options: LoadOptions<R>) => parseConfig(text, FILE, options);
  const overrides = { name: 'flag', interface: 'flag0', source: ['10.0.7.1'] };
  const env = { ANYHOP_NODE_NAME: 'env', ANYHOP_INTERFACE: 'env0', ANYHOP_SOURCE: '10.0.8.1, fd00::8' };

  it('come from the command line before the environment before the file', () => {
    const text = join({});
    const both = load(text, { role: 'run', overrides, env }).node;
    assert.deepEqual(
      [both.name, both.interface, both.source4?.text, both.source6],
      ['flag', 'flag0', '10.0.7.1/32', undefined],
    );
    const fromEnv = load(text, { role: 'run', env }).node;
    assert.deepEqual(
      [fromEnv.name, fromEnv.interface, fromEnv.source4?.text, fromEnv.source6?.text],
      ['env', 'env0', '10.0.8.1/32', 'fd00::8/128'],
    );
    const fromFile = load(text, { role: 'run', env: { ANYHOP_NODE_NAME: '' } }).node;
    assert.deepEqual(
      [fromFile.name, fromFile.interface, fromFile.source4?.text],
      ['edge-1', 'eth0', '10.0.0.1/32'],
    );
  });

  it('need not stand in the file when they come from elsewhere', () => {
    const text = join({ node: `node:\n  key: ${KEY}\n` });
    assert.equal(load(text, { role: 'run', overrides, env: {} }).node.interface, 'flag0');
    assert.equal(load(text, { role: 'run', env }).node.source4?.text, '10.0.8.1/32');
  });

  it('set the interface of an agent, and nothing for readers of pools', () => {
    const text = join({ agent: 'agent: {interface: eth5, forwarders: [10.0.0.1]}\n' });
    assert.equal(load(text, { role: 'agent', overrides, env }).agent.interface, 'flag0');
    assert.equal(load(text, { role: 'agent', env: {} }).agent.interface, 'eth5');
    assert.equal(load(text, { role: 'pools', env: { ANYHOP_SOURCE: 'junk' } }).agent?.interface, 'eth5');
  });

  it('are checked like those of the file, and the error says where they came from', () => {
    const bad = { name: 'a b', interface: 'x/y', source: ['10.0.0.1', '10.0.0.300', '127.0.0.1,10.0.0.2'] };
    assert.throws(
      () => load(join({}), { role: 'run', overrides: bad, env: {} }),
      (error) => {
        assert.ok(error instanceof ConfigError);
        assert.deepEqual(
          error.problems.map(
            ({ file, line, field, message }) => `${file} ${line} ${field} ${message.slice(0, 30)}`,
          ),
          [
            'command line 0 --interface found "x/y"; expected the name',
            'command line 0 --name found "a b"; expected a name: ',
            'command line 0 --source found "10.0.0.300"; expected a',
            'command line 0 --source 127.0.0.1 is loopback; expecte',
            'command line 0 --source found a second IPv4 entry (the',
          ],
        );
        return true;
      },
    );
    assert.throws(
      () => load(join({}), { role: 'run', env: { ANYHOP_SOURCE: '203.0.113.0/28' } }),
      /services\[0\]\.vip: 203\.0\.113\.10 lies in the source 203\.0\.113\.0\/28 \(the environment, ANYHOP_SOURCE\)/,
    );
  });
});

/** It can stand anywhere: agents read the files of cookie keys. */
const withoutKeyFiles = (): string => readFileSync(FULL, 'utf8').replaceAll(/^.*cookie_key_file:.*\n/gm, '');

describe('node.source', () => {
  it('is nothing to an agent, whatever stands there and however other fields fit it', () => {
    const full = withoutKeyFiles();
    for (const source of [
      'nonsense',
      '[]',
      '$EDGE_SOURCE',
      '[10.0.0.1, 10.0.0.2]',
      '127.0.0.1',
      '10.0.0.1',
      '203.0.113.0/24',
    ]) {
      const text = full.replace(
        /source:.*\n(?: +- .*\n)+/,
        `source: "${source}"\n`.replace(/"(\[.*\])"/, '$1'),
      );
      assert.notEqual(text, full);
      assert.equal(parse(text, 'agent').agent?.reportPort, 9611, source);
      assert.throws(() => parse(text, 'run'), ConfigError, source);
    }
  });
});

describe('warnings', () => {
  const warningsOf = (text: string, role: Role = 'run') =>
    parse(text, role).warnings.map(
      ({ line, column, field, message }) => `${line}:${column} ${field}: ${message}`,
    );

  it('name second chance beside VIPs that are elsewhere', () => {
    const elsewhere = (secondChance: string): string =>
      withoutKeyFiles()
        .replace('vip_elsewhere: false', 'vip_elsewhere: true')
        .replaceAll('second_chance: on', `second_chance: ${secondChance}`);
    assert.match(
      warningsOf(elsewhere('on'), 'agent').join('\n'),
      /^\d+:18 agent\.vip_elsewhere: service "web" has second_chance: on, and an agent sees only sockets of the VIP on its own host/m,
    );
    assert.doesNotMatch(warningsOf(elsewhere('off'), 'agent').join('\n'), /vip_elsewhere/);
  });

  it('are none for a good file', () => assert.deepEqual(warningsOf(join({})), []));

  it('tell of a table that is small for its backends', () => {
    const pools = POOLS.replace('web:\n', 'web:\n    table_size: 251\n').replace(
      '  dns:',
      '      - {name: web-3, address: 10.1.0.13}\n  dns:',
    );
    assert.deepEqual(warningsOf(join({ pools })), [
      '9:17 pools.web.table_size: 251 slots for 3 backends make some visibly busier than others; advised: 100 slots per backend, here 307',
    ]);
  });

  it('tell of a pool that no service uses, unless the file has no services', () => {
    const pools = `${POOLS}  spare:\n    backends: [{name: a, address: 10.1.0.99}]\n`;
    assert.deepEqual(warningsOf(join({ pools })), ['15:3 pools.spare: no service uses this pool']);
    assert.deepEqual(warningsOf(pools, 'pools'), []);
  });

  it('tell of a pool of which no backend is meant to take new flows', () => {
    const pools = POOLS.replace('10.1.0.11}', '10.1.0.11, state: draining}').replace(
      '10.1.0.12}',
      '10.1.0.12, weight: 0}',
    );
    assert.match(
      warningsOf(join({ pools })).join('\n'),
      /^9:5 pools\.web\.backends: web-1 is draining, and the others have weight 0: .*the draining ones keep getting them/,
    );
  });

  it('say that packets are dropped where every backend has weight 0, drains or not', () => {
    const pools = POOLS.replace('10.1.0.11}', '10.1.0.11, weight: 0, state: draining}').replace(
      '10.1.0.12}',
      '10.1.0.12, weight: 0}',
    );
    assert.deepEqual(warningsOf(join({ pools })), [
      '9:5 pools.web.backends: no backend has a weight above 0: none gets a slot, and every packet for this pool is dropped',
    ]);
  });

  it('name the backend whose weight is too small to get a slot, as its table has it', () => {
    const pools = POOLS.replace('10.1.0.11}', '10.1.0.11, weight: 65535}').replace(
      '    backends:',
      '    table_size: 251\n    backends:',
    );
    assert.match(
      warningsOf(join({ pools })).join('\n'),
      /pools\.web\.backends: web-2 gets no slot of 251, and so no flow: the weight is too small/,
    );
  });
});

describe('limits', () => {
  const many = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => line(index)).join('');
  const address = (index: number) => `10.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;

  it('hold for backends of a pool, named in the message with their value', () => {
    const pools = (count: number) =>
      `pools:\n  dns: {backends: [{name: d, address: 10.9.9.9}]}\n  web:\n    table_size: 655373\n    backends:\n${many(count, (i) => `      - {name: b${i}, address: ${address(i)}}\n`)}`;
    assert.deepEqual(problemsOf(join({ pools: pools(4096) })), []);
    const problems = problemsOf(join({ pools: pools(4097) }));
    assert.deepEqual(
      problems.map(({ field, message }) => `${field}: ${message}`),
      ['pools.web.backends: found 4097 backends; expected 4096 at most'],
    );
  });

  it('hold for services and for pools', () => {
    const services = `services:\n${many(4097, (i) => `  - {name: s${i}, vip: 198.51.100.1, protocol: tcp, port: ${i + 1}, pool: ${i === 0 ? 'dns' : 'web'}}\n`)}`;
    assert.deepEqual(
      problemsOf(join({ services })).map(({ message }) => message),
      ['found 4097 services; expected 4096 at most'],
    );
    const pools = `${POOLS}${many(255, (i) => `  p${i}: {backends: [{name: a, address: 10.2.0.1}]}\n`)}`;
    assert.deepEqual(
      problemsOf(join({ pools })).map(({ message }) => message),
      ['found 257 pools; expected 256 at most'],
    );
  });

  it('hold for the members of all pools together, prior ones included, and for a table smaller than its pool', () => {
    const list = `[${many(4096, (i) => `{name: b${i}, address: ${address(i)}},`)}]`;
    const pools = `pools:\n  web: {table_size: 3001, backends: &list ${list}}\n  dns: {backends: *list, prior: *list}\n${many(14, (i) => `  p${i}: {backends: *list}\n`)}`;
    assert.deepEqual(
      problemsOf(join({ pools })).map(({ field, message }) => `${field}: ${message}`),
      [
        'pools: found 69632 backends in all pools, prior ones included; expected 65535 at most',
        'pools.web.table_size: found 3001 slots for 4096 backends; expected more slots than backends',
      ],
    );
  });
});
