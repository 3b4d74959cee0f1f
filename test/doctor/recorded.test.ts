/**
 * Faults that no namespace can be given: of the kernel as it was booted, of cards, of a process, of tunnels that this kernel cannot make. The
 * doctor looks at recorded hosts (recorded/README.md), names each fault, and nothing else.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { NodeStatus } from '#anyhop/api/status.js';
import { keyFingerprint } from '#anyhop/config/key-fingerprint.js';
import { parseConfig } from '#anyhop/config/load.js';
import type { NodeEngine } from '#anyhop/core/engines.js';
import { L } from '#anyhop/core/layout.gen.js';
import { CHECKS } from '#anyhop/doctor/checks.js';
import { diagnose } from '#anyhop/doctor/diagnose.js';
import type { Place } from '#anyhop/doctor/facts.js';
import { recordedHost } from './recorded-host.js';

const PID = 4242;
const CONFIG = `
node: {name: edge-1, interface: eth0, source: 10.0.0.1, key: 00112233445566778899aabbccddeeff}
pools:
  web:
    backends:
      - {name: web-1, address: 10.1.0.11, agent: false}
      - {name: web-2, address: 10.1.0.12, agent: false}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}
  - {name: dns, vip: 203.0.113.10, protocol: udp, port: 53, pool: web}
`;
const WITH_IPV6 = CONFIG.replaceAll('203.0.113.10', '"2001:db8::10"');

interface Fault {
  readonly tree: string;
  readonly on: 'forwarder' | 'backend';
  readonly check: string;
  /** The node does not run, which is named too. */
  readonly isStopped?: true;
  readonly says: RegExp;
  readonly engine?: NodeEngine;
  readonly config?: string;
}

const FAULTS: readonly Fault[] = [
  { tree: 'nohz-full', on: 'forwarder', check: 'kernel', says: /nohz_full processors: 2-7/ },
  {
    tree: 'old-kernel',
    on: 'forwarder',
    check: 'kernel',
    says: /Linux 5\.4\.0-216-generic has no BPF links/,
  },
  { tree: 'no-jit', on: 'forwarder', check: 'kernel', says: /sysctl -w net\.core\.bpf_jit_enable=1/ },
  { tree: 'lro', on: 'forwarder', check: 'offloads', isStopped: true, says: /ethtool -K eth0 lro off/ },
  { tree: 'vlan-tags-stripped', on: 'forwarder', check: 'offloads', says: /ethtool -K eth0 rxvlan off/ },
  {
    tree: 'small-rings',
    on: 'forwarder',
    check: 'rings',
    says: /hold 128 packets of 4096.*ethtool -G eth0 rx 2048/,
  },
  {
    tree: 'interrupts-on-one',
    on: 'forwarder',
    check: 'interrupts',
    says: /all 8 interrupts of eth0 go to processor 0/,
  },
  { tree: 'one-queue', on: 'forwarder', check: 'queues', says: /ethtool -L eth0 combined 8/ },
  {
    tree: 'few-transmit-queues',
    on: 'forwarder',
    check: 'queues',
    engine: 'af_xdp',
    says: /8 receive queues and 1 transmit queues/,
  },
  {
    tree: 'driver-without-xdp',
    on: 'forwarder',
    check: 'driver',
    says: /is r8169, which runs no XDP program/,
  },
  { tree: 'generic-xdp', on: 'forwarder', check: 'program', says: /generic XDP/ },
  {
    tree: 'foreign-program',
    on: 'forwarder',
    check: 'program',
    says: /another XDP program is on eth0: xdp_drop/,
  },
  {
    tree: 'no-program',
    on: 'forwarder',
    check: 'program',
    says: /the node runs, and no XDP program is on eth0/,
  },
  {
    tree: 'few-capabilities',
    on: 'forwarder',
    check: 'capabilities',
    says: /process 4242 lacks CAP_BPF, CAP_PERFMON/,
  },
  {
    tree: 'little-locked-memory',
    on: 'forwarder',
    check: 'locked-memory',
    engine: 'af_xdp',
    says: /the limit is 8\.0 MiB/,
  },
  { tree: 'way-over-a-bridge', on: 'forwarder', check: 'routes', says: /xdp cannot send out of a bridge/ },
  {
    tree: 'narrow-for-ipv6',
    on: 'forwarder',
    check: 'routes',
    config: WITH_IPV6,
    says: /IPv6 packets of 1280 bytes do not fit/,
  },
  {
    tree: 'way-over-another-card',
    on: 'forwarder',
    check: 'redirect',
    says: /leave by eth1, which has no XDP program.*anyhop pass --interface eth1/,
  },
  {
    tree: 'merging-for-libpcap',
    on: 'forwarder',
    check: 'offloads',
    engine: 'portable',
    says: /ethtool -K eth0 gro off/,
  },
  {
    tree: 'gre-dropped-on-its-way-out',
    on: 'forwarder',
    check: 'firewall',
    engine: 'portable',
    says: /a rule of the chain ip filter out drops GRE/,
  },
  { tree: 'no-tunnel', on: 'backend', check: 'tunnel', says: /no GRE tunnel takes packets to 10\.1\.0\.11/ },
  { tree: 'tunnel-down', on: 'backend', check: 'tunnel', says: /anyhop4 is down.*ip link set anyhop4 up/ },
  { tree: 'tunnel-with-key', on: 'backend', check: 'tunnel', says: /only packets with the key 0\.0\.0\.5/ },
  { tree: 'tunnel-from-one', on: 'backend', check: 'tunnel', says: /from 10\.0\.0\.7 only/ },
  {
    tree: 'strict-on-tunnel',
    on: 'backend',
    check: 'rp-filter',
    says: /sysctl -w net\.ipv4\.conf\.anyhop4\.rp_filter=2/,
  },
  {
    tree: 'gre-dropped',
    on: 'backend',
    check: 'firewall',
    says: /the policy of the chain inet filter input drops GRE to 10\.1\.0\.11/,
  },
  { tree: 'conntrack-full', on: 'backend', check: 'conntrack', says: /262144 of 262144 tracked connections/ },
  {
    tree: 'wrong-checksums',
    on: 'backend',
    check: 'checksums',
    says: /40212345 TCP segments.*ethtool -K eth0 tx off/,
  },
];

describe('the doctor on recorded hosts', () => {
  it('has nothing to say of hosts that are set up right', async () => {
    assert.deepEqual(await found('forwarder'), []);
    assert.deepEqual(await found('backend'), []);
  });

  for (const { tree, on, check, says, ...how } of FAULTS) {
    const named = how.isStopped ? ['node', check] : [check];
    it(`names ${tree} on a ${on}, and nothing else`, async () => {
      const findings = await found(on, tree, how);
      assert.deepEqual([...new Set(findings.map((each) => each.check))], named, JSON.stringify(findings));
      assert.match(JSON.stringify(findings), says);
    });
  }

  it('says what a backend that is down means for its pool, and how to find the step that fails', async () => {
    const down = async (mode: string) => {
      const findings = await found('forwarder', undefined, { pools: [poolWithDown(mode)] });
      return findings.map(({ check, level, breaks, mend }) => [check, level, breaks, mend]);
    };
    const mend =
      'on the backend: anyhop doctor; which step fails: anyhop trace 203.0.113.10:80 --backend web-1';
    const [one] = await down('normal');
    assert.deepEqual(one, ['backends', 'warning', one![2], mend]);
    assert.match(one![2]!, /no new connections/);
    const [none] = await down('all_down');
    assert.deepEqual(none, ['backends', 'error', none![2], mend]);
    assert.match(none![2]!, /all are tried/);
  });

  it('has a test for every tree', () => {
    assert.deepEqual(
      readdirSync('test/doctor/recorded/faults').sort(),
      FAULTS.map(({ tree }) => tree).sort(),
    );
  });
});

type How = Pick<Fault, 'engine' | 'config' | 'isStopped'> & { readonly pools?: readonly object[] };

function poolWithDown(mode: string): object {
  const backend = { name: 'web-1', address: '10.1.0.11', health: 'down', reachable: true, nextHop: {} };
  return { name: 'web', mode, backends: [backend] };
}

async function found(on: 'forwarder' | 'backend', fault?: string, how: How = {}) {
  const host = recordedHost(on, fault);
  const { outcomes } = await diagnose(host, placeOf(on, how), CHECKS);
  for (const { check, unseen } of outcomes) assert.equal(unseen, undefined, check);
  return outcomes.flatMap(({ check, findings }) => findings.map((finding) => ({ check, ...finding })));
}

function placeOf(
  on: 'forwarder' | 'backend',
  { engine = 'xdp', config: text = CONFIG, isStopped, pools = [] }: How,
): Place {
  const config = parseConfig(text, 'a.yaml', { role: 'run', env: {} });
  const targets = config.pools.flatMap(({ name: pool, backends }) =>
    backends.map((each) => ({ ...each, pool })),
  );
  const quiet = { ...config, warnings: [] }; // of a fleet without agents
  if (on === 'backend')
    return {
      where: on,
      name: 'web-1',
      config: quiet,
      interface: 'eth0',
      targets: targets.slice(0, 1),
      status: async () => undefined,
    };
  const status = {
    node: 'edge-1',
    pid: PID,
    keyFingerprint: keyFingerprint(config.node.key.reveal()),
    flowHashVersion: L.FLOW_HASH_VERSION,
    readiness: { ready: true, reasons: [], services: [] },
    config: { file: 'a.yaml', loadedAt: '2026-01-02T03:04:05.678Z' },
    engine: { name: engine },
    image: {},
    pools,
  } as unknown as NodeStatus;
  return {
    where: on,
    name: 'edge-1',
    config: quiet,
    interface: 'eth0',
    targets,
    status: async () => (isStopped ? undefined : status),
  };
}
