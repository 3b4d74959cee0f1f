/**
 * The agent's program as the tests see it: a frame in; a frame, an XDP action and a verdict out. It runs in the
 * kernel's own BPF_PROG_TEST_RUN on maps that are filled from a config by the code of the agent itself.
 */
import assert from 'node:assert/strict';
import { backendAddresses, fleetOf } from '#anyhop/agent/fleet.js';
import { allHere } from '#anyhop/agent/local-vips.js';
import { PeerRows } from '#anyhop/agent/peers.js';
import {
  AGENT_PROGRAM,
  type AgentRate,
  type CookieOptions,
  loadAgentProgram,
  readVerdicts,
} from '#anyhop/agent/program.js';
import { agentTables, vipsOf } from '#anyhop/agent/tables.js';
import { parseConfig } from '#anyhop/config/load.js';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import type { TestRun } from '#anyhop/ffi/descriptor.js';
import { parseAddress } from '#anyhop/packet/address.js';
import type { NextHop, NoNextHop } from '#anyhop/underlay/next-hop.js';
import {
  frame,
  gre,
  type Ipv4Options,
  type Ipv6Options,
  ipv4,
  ipv6,
  type Layer,
  payload,
} from '../packets/build.js';

export const CONFIG = `
pools:
  web:
    backends:
      - {name: web-1, address: 10.1.0.11}
      - {name: web-2, address: 10.1.0.12}
  web6:
    backends:
      - {name: web6-1, address: "fd00:1::11"}
      - {name: web6-2, address: "fd00:1::12"}
services:
  - {name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web, second_chance: on}
  - {name: dns, vip: 203.0.113.10, protocol: udp, port: 53, pool: web}
  - {name: games, vip: 203.0.113.20, protocol: udp, port: 27000-27015, pool: web}
  - {name: web6, vip: "2001:db8::10", protocol: tcp, port: 80, pool: web6, second_chance: on}
  - {name: dns6, vip: "2001:db8::10", protocol: udp, port: 53, pool: web6}
agent:
  forwarders: [10.0.0.0/28, "fd00::/64"]
`;

export const VIP = '203.0.113.10';
export const VIP6 = '2001:db8::10';
export const CLIENT = '198.51.100.7';
export const CLIENT6 = '2001:db8:c::7';
export const SKIP = process.getuid?.() === 0 ? false : 'needs root';

/** Of web-1 and web6-1. */
const LOCALS: readonly string[] = ['10.1.0.11', 'fd00:1::11'];
/** Keys of the former format that name web-2 and web6-2, and one that names nobody. */
export const KEYS = { peer4: 0x0a01000c, peer6: 0x00000012, unknown: 0x0a01000d } as const;
/** Where web-2 and web6-2 are reached. */
export const HOP: NextHop = {
  interface: 'eth0',
  interfaceIndex: 2,
  kind: undefined,
  sourceMac: Uint8Array.from(Buffer.from('020000000001', 'hex')),
  destinationMac: Uint8Array.from(Buffer.from('0200000000aa', 'hex')),
  vlan: undefined,
  mtu: 1600,
};

export interface AgentOptions {
  /** In place of the services' own. */
  readonly vips?: Readonly<Record<string, string>>;
  /** In place of port 80 of TCP services. */
  readonly port?: number;
  /** The path to other backends. */
  readonly hop?: NextHop | NoNextHop;
  /** In place of CONFIG. */
  readonly text?: string;
  /** This host's addresses, in place of those of web-1 and web6-1. */
  readonly locals?: readonly string[];
  readonly rate?: AgentRate;
  readonly cookies?: CookieOptions;
  /** Numbers of VIPs that this host does not have. */
  readonly absent?: readonly number[];
}

export function loadAgent(options: AgentOptions = {}): BpfObject {
  const { vips = {}, port, hop = HOP, text = CONFIG, rate, absent = [] } = options;
  const config = parseConfig(text, 'agent.yaml', { role: 'agent', env: {} });
  const services = config.services.map((service) => ({
    ...service,
    vip: parseAddress(vips[service.vip.text] ?? service.vip.text)!,
    ...(port !== undefined && service.protocol === 'tcp' && { portFirst: port, portLast: port }),
  }));
  const own = options.locals ?? LOCALS;
  const locals = backendAddresses(config).filter((address) => own.includes(address.text));
  const fleet = fleetOf({ ...config, services });
  const rows = new PeerRows(fleet.peers, locals);
  const agent = loadAgentProgram(agentTables({ ...fleet, services }, locals), rows, {
    ...(rate !== undefined && { rate }),
    cookies: options.cookies,
  });
  agent.fill(
    'here',
    allHere(vipsOf(services).length).filter((_, number) => !absent.includes(number)),
  );
  agent.fill(
    'peers',
    rows.addresses.flatMap((address) => rows.change(address, hop)),
  );
  return agent;
}

/** From a forwarder to this backend, unless the options say otherwise. */
export function outer4(o: Partial<Ipv4Options> = {}): Layer {
  return ipv4({ src: '10.0.0.1', dst: '10.1.0.11', df: true, ...o });
}

export function outer6(o: Partial<Ipv6Options> = {}): Layer {
  return ipv6({ src: 'fd00::1', dst: 'fd00:1::11', ...o });
}

/** From the client to the VIP, unless the options say otherwise. */
export function inner4(o: Partial<Ipv4Options> = {}): Layer {
  return ipv4({ src: CLIENT, dst: VIP, ttl: 63, ...o });
}

export function inner6(o: Partial<Ipv6Options> = {}): Layer {
  return ipv6({ src: CLIENT6, dst: VIP6, hopLimit: 63, ...o });
}

/** A forwarder's frame to this backend around an inner packet. */
export function wrapped(...inner: Layer[]): Uint8Array {
  return frame({}, outer4(), gre(), ...inner);
}

/** The same around a packet that is bytes already. */
export function wrappedBytes(inner: Uint8Array): Uint8Array {
  return frame({}, outer4(), gre({ etherType: inner[0] >> 4 === 6 ? 0x86dd : 0x0800 }), payload(inner));
}

export interface Judged extends TestRun {
  readonly verdict: string;
}

/** Runs one frame and finds the one counter that rose, which must have risen by one. */
export function judge(agent: BpfObject, bytes: Uint8Array): Judged {
  const before = readVerdicts(agent);
  const run = agent.testRun(AGENT_PROGRAM, bytes);
  const after = readVerdicts(agent);
  const risen = Object.keys(after).filter((name) => after[name] !== before[name]);
  assert.equal(risen.length, 1, `one verdict a packet, not: ${risen.join(', ')}`);
  assert.equal(after[risen[0]] - before[risen[0]], 1);
  return { ...run, verdict: risen[0] };
}

export function refuses(agent: BpfObject, bytes: Uint8Array, verdict: string): void {
  const judged = judge(agent, bytes);
  assert.deepEqual([judged.verdict, judged.action], [verdict, 'drop']);
}

export function passesUntouched(agent: BpfObject, bytes: Uint8Array, verdict: string): void {
  const judged = judge(agent, bytes);
  assert.deepEqual([judged.verdict, judged.action], [verdict, 'pass']);
  assert.deepEqual(new Uint8Array(judged.frame), new Uint8Array(bytes));
}

/** The frame comes out as the inner packet in an untagged frame with the same MAC addresses. */
export function delivers(
  agent: BpfObject,
  bytes: Uint8Array,
  inner: Uint8Array,
  verdict = 'delivered',
): void {
  const judged = judge(agent, bytes);
  assert.deepEqual([judged.verdict, judged.action], [verdict, 'pass']);
  const etherType = inner[0] >> 4 === 6 ? 0x86dd : 0x0800;
  assert.deepEqual(new Uint8Array(judged.frame), frame({ etherType }, payload(inner)));
}
