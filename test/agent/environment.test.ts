/** The check of the host, tried on machines that are made up: what is an error, what a warning, and what to do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEnvironment, type Finding } from '#anyhop/agent/environment.js';
import type { System } from '#anyhop/agent/system.js';
import { parseConfig } from '#anyhop/config/load.js';
import { AnyhopError } from '#anyhop/core/errors.js';
import { BpfObject } from '#anyhop/ffi/bpf.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { CONFIG } from './fixture.js';

const CAPABILITIES_ALL = '000001ffffffffff';

interface Machine extends Partial<Omit<System, 'addresses'>> {
  files?: Record<string, string>;
  addresses?: string[];
}

/** A backend as it should be, with some things different. */
function machine(o: Machine = {}): System {
  const files: Record<string, string> = {
    '/proc/self/status': `Name:\tnode\nCapEff:\t${CAPABILITIES_ALL}\nSeccomp:\t0`,
    '/sys/class/net/eth0/ifindex': '2',
    '/sys/class/net/eth0/flags': '0x1003',
    '/sys/class/net/eth0/mtu': '1500',
    '/proc/sys/net/ipv4/conf/all/rp_filter': '0',
    '/proc/sys/net/ipv4/conf/eth0/rp_filter': '0',
    '/proc/sys/net/core/bpf_jit_enable': '1',
    ...o.files,
  };
  const addresses = o.addresses ?? ['10.1.0.11', '203.0.113.10', '203.0.113.20', '2001:db8::10'];
  return {
    read: (path) => files[path] || undefined,
    interfaces: () => ['eth0', 'lo'],
    addresses: () => addresses.map((text) => parseAddress(text)!),
    attachedXdp: o.attachedXdp ?? (() => undefined),
    pinnedProgram: o.pinnedProgram ?? (() => undefined),
  };
}

function findings(o: Machine, networkInterface = 'eth0', own?: number): readonly Finding[] {
  const config = parseConfig(CONFIG, 'a.yaml', {
    role: 'agent',
    env: {},
    overrides: { interface: networkInterface },
  });
  return checkEnvironment(config, machine(o), own).findings;
}

function onlyFinding(o: Machine, networkInterface?: string): [string, string, string, string] {
  const found = findings(o, networkInterface);
  assert.equal(found.length, 1, JSON.stringify(found));
  const [{ level, code, message, hint }] = found;
  return [level, code, message, hint];
}

test('a host that is set up right gives no finding', () => {
  assert.deepEqual(findings({}), []);
});

test('each missing capability is named; CAP_SYS_ADMIN stands for the younger two', () => {
  const status = (capabilities: string): Machine => ({
    files: { '/proc/self/status': `CapEff:\t${capabilities}` },
  });
  const hint = 'run as root, or grant them (systemd: AmbientCapabilities=CAP_NET_ADMIN CAP_BPF CAP_PERFMON)';
  const lacks = (capabilities: string, list: string): void =>
    assert.deepEqual(onlyFinding(status(capabilities)), [
      'error',
      'ERR_CAPABILITY',
      `this process lacks ${list}`,
      hint,
    ]);
  lacks('0000000000000000', 'CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON');
  lacks('0000000000001000', 'CAP_BPF, CAP_PERFMON');
  lacks('000000c000000000', 'CAP_NET_ADMIN');
  assert.deepEqual(findings(status('0000000000201000')), []);
  assert.deepEqual(findings(status('000000c000001000')), []);
});

test('a missing interface is an error that lists those that are there, one that is down a warning', () => {
  assert.deepEqual(onlyFinding({}, 'eth9'), [
    'error',
    'ERR_INTERFACE',
    'there is no interface eth9',
    'there are: eth0, lo',
  ]);
  assert.deepEqual(onlyFinding({ files: { '/sys/class/net/eth0/flags': '0x1002' } }), [
    'warning',
    'ERR_INTERFACE',
    'eth0 is down',
    'ip link set dev eth0 up',
  ]);
});

test('a host that is none of the backends is refused, with both sides of the comparison', () => {
  const [level, code, , hint] = onlyFinding({
    addresses: ['10.9.9.9', '203.0.113.10', '203.0.113.20', '2001:db8::10'],
  });
  assert.deepEqual([level, code], ['error', 'ERR_ADDRESS']);
  assert.equal(
    hint,
    'the config has 10.1.0.11, 10.1.0.12, fd00:1::11, fd00:1::12; ' +
      'this host has 10.9.9.9, 203.0.113.10, 203.0.113.20, 2001:db8::10',
  );
});

test('each VIP that is not on the host is a warning with the line that adds it', () => {
  const found = findings({ addresses: ['10.1.0.11', '203.0.113.20'] });
  assert.deepEqual(
    found.map(({ level, message, hint }) => [level, message, hint]),
    [
      ['warning', 'VIP 203.0.113.10 is not on this host', 'ip addr add 203.0.113.10/32 dev lo'],
      ['warning', 'VIP 2001:db8::10 is not on this host', 'ip addr add 2001:db8::10/128 dev lo'],
    ],
  );
});

test('rp_filter is judged by the larger of the two values, as the kernel does', () => {
  const values = (all: string, own: string): Machine => ({
    files: { '/proc/sys/net/ipv4/conf/all/rp_filter': all, '/proc/sys/net/ipv4/conf/eth0/rp_filter': own },
  });
  for (const [all, own] of [
    ['1', '0'],
    ['0', '1'],
    ['1', '1'],
  ]) {
    const [level, , , hint] = onlyFinding(values(all, own));
    assert.deepEqual([level, hint], ['warning', 'sysctl -w net.ipv4.conf.eth0.rp_filter=2']);
  }
  for (const [all, own] of [
    ['0', '0'],
    ['2', '1'],
    ['1', '2'],
  ]) {
    assert.deepEqual(findings(values(all, own)), []);
  }
});

test("a foreign XDP program is refused, an agent's own is to be replaced", () => {
  const attached = (name: string | undefined, mode: 'native' | 'generic' = 'native'): Machine => ({
    attachedXdp: () => ({ id: 7, mode, name }),
  });
  assert.deepEqual(onlyFinding(attached('katran', 'generic')), [
    'error',
    'ERR_INTERFACE',
    'eth0 has an XDP program already: katran (id 7, generic)',
    'if nobody needs it: ip link set dev eth0 xdpgeneric off',
  ]);
  const [, , message, hint] = onlyFinding(attached(undefined));
  assert.match(message, /name unknown \(id 7, native\)/);
  assert.match(hint, /agent\.bpffs .* CAP_SYS_ADMIN .* ip link set dev eth0 xdp off/);
  assert.deepEqual(findings(attached('anyhop_agent')), []);
  // Without a name it is known by the pin of its link, and by whoever attached it.
  assert.deepEqual(findings({ ...attached(undefined), pinnedProgram: () => 7 }), []);
  assert.equal(findings({ ...attached(undefined), pinnedProgram: () => 8 }).length, 1);
  assert.deepEqual(findings(attached(undefined), 'eth0', 7), []);
});

test('a JIT that is off is a warning', () => {
  assert.equal(
    onlyFinding({ files: { '/proc/sys/net/core/bpf_jit_enable': '0' } })[3],
    'sysctl -w net.core.bpf_jit_enable=1',
  );
});

test('without an interface the agent says where one can be given', () => {
  const config = parseConfig(CONFIG, 'a.yaml', { role: 'agent', env: {} });
  assert.throws(
    () => checkEnvironment(config, machine()),
    (error) =>
      error instanceof AnyhopError && error.code === 'ERR_USAGE' && /--interface/.test(error.hint ?? ''),
  );
});

test('a BPF program that was not built is named, with what to do', () => {
  assert.throws(
    () => new BpfObject('no-such-program'),
    (error) =>
      error instanceof AnyhopError &&
      error.code === 'ERR_NATIVE' &&
      /no-such-program\.bpf\.o/.test(error.message),
  );
});
