/** Warnings about a fleet whose fields are each good and whose packets are dropped all the same. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig } from '#anyhop/config/load.js';
import type { HostInterfaces } from '#anyhop/config/rules/fleet.js';
import type { Role } from '#anyhop/config/types.js';
import { AGENT, FILE, join, NODE, POOLS } from './fixture.js';

function hostOf(...addresses: string[]): HostInterfaces {
  return { eth0: addresses.map((address) => ({ address })) };
}

interface Asked {
  readonly role?: Role;
  readonly env?: Record<string, string>;
  readonly host?: HostInterfaces;
}

function warningsOf(text: string, { role = 'node', env = {}, host }: Asked = {}): string[] {
  const { warnings } = parseConfig(text, FILE, { role, env, ...(host && { host }) });
  return warnings.map(({ line, column, field, message }) => `${line}:${column} ${field}: ${message}`);
}

const HERE = hostOf('10.0.0.1', 'fd00:0::1');

describe('a source prefix', () => {
  const problemsOf = (prefix: string, cidr: string, asked: Asked = {}): string => {
    const host = {
      eth0: [{ address: cidr.split('/')[0], cidr }],
      lo: [{ address: '127.0.0.1', cidr: '127.0.0.1/8' }],
    };
    const { role = 'run' } = asked;
    try {
      parseConfig(join({ node: NODE.replace('10.0.0.1', prefix) }), FILE, { role, env: {}, host });
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('that overlaps a subnet of the host is refused, whichever of the two is larger', () => {
    for (const [prefix, cidr] of [
      ['10.0.0.0/28', '10.0.0.5/24'],
      ['10.0.0.0/24', '10.0.0.5/24'],
      ['10.0.0.0/16', '10.0.3.5/24'],
      ['10.0.0.254/31', '10.0.0.5/24'],
    ]) {
      for (const role of ['run', 'node'] as const)
        assert.match(
          problemsOf(prefix, cidr, { role }),
          new RegExp(
            `node\\.source\\[0\\].*${prefix}, which overlaps the subnet of ${cidr} on eth0; expected a prefix that belongs to nobody`,
          ),
        );
    }
  });

  it('is good beside the subnets of the host, around single addresses, and on another machine', () => {
    assert.equal(problemsOf('10.0.1.0/28', '10.0.0.5/24'), '');
    assert.equal(problemsOf('10.0.0.0/28', '10.0.0.5/32'), '');
    assert.equal(problemsOf('10.0.0.1', '10.0.0.1/24'), '', 'one address is no prefix');
    const node = NODE.replace('10.0.0.1', '10.0.0.0/28');
    const host = { eth9: [{ address: '10.0.0.5', cidr: '10.0.0.5/24' }] };
    assert.ok(parseConfig(join({ node }), FILE, { role: 'node', env: {}, host }));
  });
});

describe('a fleet', () => {
  it('of which nothing is doubtful brings no warning, on the host of the node or elsewhere', () => {
    for (const role of ['run', 'node', 'agent', 'pools'] as const) {
      assert.deepEqual(warningsOf(join({}), { role, host: HERE }), []);
      assert.deepEqual(warningsOf(join({}), { role }), []);
    }
  });

  it('whose agents do not take GRE from this node is named at the source', () => {
    const agent = 'agent: {forwarders: [10.0.1.0/24, fd00::1]}\n';
    const expected =
      '4:12 node.source[0]: 10.0.0.1 is outside agent.forwarders (10.0.1.0/24, fd00::1/128): agents that read this file drop all packets from it; add it there';
    for (const role of ['run', 'node', 'agent'] as const)
      assert.deepEqual(warningsOf(join({ agent }), { role }), [expected]);
    // From outside, the place is that.
    const [warning, ...others] = warningsOf(join({}), { env: { ANYHOP_SOURCE: '10.9.0.0/28' } });
    assert.match(warning, /^0:0 ANYHOP_SOURCE: 10\.9\.0\.0\/28 is outside agent\.forwarders/);
    assert.deepEqual(others, []);
    // A prefix must lie within whole.
    const node = NODE.replace('10.0.0.1', '10.0.0.0/23');
    assert.match(warningsOf(join({ node })).join('\n'), /10\.0\.0\.0\/23 is outside agent\.forwarders/);
  });

  it('that has agents and no section for them is named, unless all backends have plain tunnels', () => {
    const [warning, ...others] = warningsOf(join({ agent: '' }));
    assert.match(
      warning,
      /^\d+:1 agent: missing, and backends have an agent \(pools\.web\.backends\[0\] and 2 more\): .* add agent: \{forwarders:/,
    );
    assert.deepEqual(others, []);
    const plain = POOLS.replaceAll(/(address: [^}]+)/g, '$1, agent: false');
    assert.deepEqual(warningsOf(join({ agent: '', pools: plain })), []);
  });

  it('whose source is not this host’s is named, where the file is of this host', () => {
    const host = hostOf('10.0.0.7', 'fd00::1');
    const expected = [
      '4:12 node.source[0]: 10.0.0.1 is not an address of this host: ICMP errors about packets from it (such as the path MTU) go elsewhere; expected an address that this host has, or a prefix that is routed to it',
    ];
    assert.deepEqual(warningsOf(join({}), { host }), expected);
    assert.deepEqual(warningsOf(join({}), { host, role: 'run' }), expected);
    // The interface of the file is on another machine: a file is often checked elsewhere.
    const node = NODE.replace('eth0', 'eth7');
    assert.deepEqual(warningsOf(join({ node }), { host }), []);
    assert.deepEqual(warningsOf(join({ node }), { host, role: 'run' }), expected);
    // A prefix belongs to nobody, and no host has it.
    const prefix = NODE.replace('10.0.0.1', '10.0.0.16/28');
    assert.deepEqual(warningsOf(join({ node: prefix }), { host }), []);
  });

  it('with a forwarder that is its own backend is named at the backend', () => {
    const at = (address: string) => join({ pools: POOLS.replace('10.1.0.12', address) });
    const rest = 'a forwarder cannot be its own backend; packets that it sends to itself are lost';
    assert.deepEqual(warningsOf(at('10.0.0.1')), [
      `11:32 pools.web.backends[1].address: 10.0.0.1 is node.source: ${rest}`,
    ]);
    const host = hostOf('10.0.0.1', 'fd00::1', '10.1.0.12');
    assert.deepEqual(warningsOf(at('10.1.0.12'), { host, role: 'run' }), [
      `11:32 pools.web.backends[1].address: 10.1.0.12 is an address of this host: ${rest}`,
    ]);
    // An agent reads the file on a backend: there the address is the host's.
    assert.deepEqual(warningsOf(at('10.1.0.12'), { host, role: 'agent' }), []);
    const node = NODE.replace('10.0.0.1', '10.0.0.0/28');
    const within = join({ node, agent: AGENT, pools: POOLS.replace('10.1.0.12', '10.0.0.9') });
    assert.match(
      warningsOf(within).join('\n'),
      /10\.0\.0\.9 lies in node\.source 10\.0\.0\.0\/28: a forwarder cannot/,
    );
  });
});
