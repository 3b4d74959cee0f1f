/** A drain under real connections: with second chance all of them go on, without it those of the drained backend break. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { fourMixes } from '../../scripts/lab/config.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import { HTTP_PORTS } from '../../scripts/lab/nginx.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { backendAddresses, VIP4, VIP6 } from '../../scripts/lab/topology.js';
import type { Held } from './held-connections.js';

const TIMEOUT_MS = 60_000;
const OPEN_TIMEOUT_MS = 10_000;
/** Longer than it takes a connection to be found broken. */
const WATCH_MS = 1_000;
const CONNECTIONS_PER_VIP = 30;
const HELD_CONNECTIONS = fileURLToPath(new URL('./held-connections.js', import.meta.url));
const BACKENDS = [1, 2, 3].map((number) => ({ name: `web-${number}`, ...backendAddresses(number) }));

type Backends = readonly { name: string; state?: string }[];

interface ConfigFile {
  pools: Record<string, { backends: Backends; prior?: Backends }>;
  services: { second_chance?: string }[];
}

function edit(file: string, change: (config: ConfigFile) => void): void {
  const config: ConfigFile = parse(readFileSync(file, 'utf8'));
  change(config);
  writeFileSync(file, stringify(config));
}

/** A pool's backends, of which the first ones drain. */
const draining = (backends: Backends, count: number): Backends =>
  backends.map((each, i) => ({ ...each, state: i < count ? 'draining' : 'active' }));

/**
 * Holds connections over IPv4 and IPv6 while backends start to drain.
 * @param drains how many drain in the state before the last one, and in the last one
 * @returns what became of the connections, and the agents' verdicts
 */
async function drainUnderLoad(
  secondChance: 'on' | 'off',
  drains: readonly [number, number] = [0, 1],
  underlay: 4 | 6 = 4,
): Promise<{ held: Held; verdicts: Record<string, number>[] }> {
  const services = fourMixes(BACKENDS).filter(({ name }) => name.endsWith(`over-v${underlay}`));
  const onePort = services.map((service) => ({ ...service, port: HTTP_PORTS[0] }));
  const lab = await createLab({ forwarders: 1, backends: 3, engine: 'xdp', services: onePort });
  try {
    const nodeFile = join(dirname(lab.configFile), `${lab.forwarders[0]!.name}.yaml`);
    for (const file of [lab.configFile, nodeFile])
      edit(file, (config) => {
        for (const service of config.services) service.second_chance = secondChance;
      });
    const { agents, forwarders } = await lab.startAll();
    const client = await startClient(lab);
    edit(nodeFile, ({ pools }) => {
      for (const pool of Object.values(pools)) {
        pool.prior = draining(pool.backends, drains[0]);
        pool.backends = draining(pool.backends, drains[1]);
      }
    });
    await forwarders[0]!.stop();
    await lab.startForwarder(0);
    await delay(WATCH_MS);
    await client.stop();
    const verdicts = await Promise.all(agents.map(verdictsOf));
    return { held: JSON.parse(client.lines.at(-1)!), verdicts };
  } finally {
    await lab.close();
  }
}

async function startClient({ resources, client }: Lab): Promise<LabProcess> {
  const argv = [process.execPath, HELD_CONNECTIONS, `${HTTP_PORTS[0]}`, `${CONNECTIONS_PER_VIP}`, VIP4, VIP6];
  const started = await resources.startProcess('held connections', client.namespace, argv);
  await started.waitForLine((line) => line === 'open', 'answers on all connections', OPEN_TIMEOUT_MS);
  return started;
}

async function verdictsOf(agent: LabProcess): Promise<Record<string, number>> {
  await agent.stop();
  const counters = await agent.waitForEvent('counters', OPEN_TIMEOUT_MS);
  return counters['verdicts'] as Record<string, number>;
}

const count = (held: Held, key: 'held' | 'broken', ...names: string[]): number =>
  names.reduce((sum, name) => sum + (held[name]?.[key] ?? 0), 0);
const ALL = BACKENDS.map(({ name }) => name);

labTest('a drain breaks no connection with second chance', async () => {
  const { held, verdicts } = await drainUnderLoad('on');
  assert.deepEqual(Object.keys(held).sort(), ALL, JSON.stringify(held));
  assert.equal(count(held, 'broken', ...ALL), 0, JSON.stringify(held));
  assert.equal(count(held, 'held', ...ALL), 2 * CONNECTIONS_PER_VIP);
  const [drained, ...others] = verdicts;
  assert.equal(drained!['sent_on'], 0);
  // Each of the drained backend's connections asked several times after the change.
  const sentOn = others.reduce((sum, each) => sum + each['sent_on']!, 0);
  assert.ok(sentOn >= 2 * count(held, 'held', 'web-1'), `${sentOn} packets sent on`);
});

for (const underlay of [4, 6] as const)
  labTest(
    `two drains that overlap break no connection over IPv${underlay}, also where it takes two hops to reach it`,
    () => twoDrains(underlay),
  );

async function twoDrains(underlay: 4 | 6): Promise<void> {
  const { held, verdicts } = await drainUnderLoad('on', [1, 2], underlay);
  assert.deepEqual(Object.keys(held).sort(), ALL, JSON.stringify(held));
  assert.equal(count(held, 'broken', ...ALL), 0, JSON.stringify(held));
  assert.equal(count(held, 'held', ...ALL), 2 * CONNECTIONS_PER_VIP);
  const [first, second, third] = verdicts;
  // web-3 has all slots. Those of web-1 that web-2 had between the two drains are reached through it.
  assert.equal(first!['sent_on'], 0);
  assert.ok(second!['sent_on']! > 0, 'no packet took two hops');
  assert.ok(third!['sent_on']! > second!['sent_on']!);
  for (const each of verdicts)
    assert.deepEqual([each['drop_id_stale'], each['drop_key'], each['drop_peer_unknown']], [0, 0, 0]);
}

labTest('a drain without second chance breaks the connections of that backend alone', async () => {
  const { held, verdicts } = await drainUnderLoad('off');
  const ofDrained = count(held, 'held', 'web-1');
  assert.ok(ofDrained > 0, JSON.stringify(held));
  assert.equal(count(held, 'broken', 'web-1'), ofDrained, JSON.stringify(held));
  assert.equal(count(held, 'broken', 'web-2', 'web-3'), 0, JSON.stringify(held));
  for (const each of verdicts) assert.equal(each['sent_on'], 0);
});

function labTest(name: string, run: () => Promise<void>): void {
  test(name, { skip: missingForLab()?.message ?? false, timeout: TIMEOUT_MS }, run);
}

test("an agent's ways to its peers are those of packets from its own address, by the rules for that, also when one changes", {
  skip: missingForLab()?.message ?? false,
  timeout: TIMEOUT_MS,
}, async () => {
  const services = fourMixes(BACKENDS.slice(0, 2))
    .filter(({ name }) => name.endsWith('over-v4'))
    .map((service) => ({ ...service, secondChance: 'on' as const }));
  const lab = await createLab({ forwarders: 1, backends: 2, webServers: false, services });
  try {
    const { namespace, host4, router4 } = lab.backends[0]!;
    const ip = (command: string): Promise<string> => lab.exec(namespace, ['ip', ...command.split(' ')]);
    await ip('route add unreachable 10.1.2.0/24');
    await ip(`route add 10.1.2.0/24 via ${router4} table 100`);
    await ip(`rule add from ${host4} lookup 100`);
    const agent = await lab.startAgent(0);
    const told = (): unknown[] =>
      agent.events
        .filter(({ event }) => event === 'next_hop' || event === 'no_next_hop')
        .map(({ event, backends }) => [event, backends]);
    assert.deepEqual(told(), [['next_hop', ['peer (10.1.2.1)']]]);
    await ip(`rule del from ${host4} lookup 100`);
    await agent.waitForEvent('no_next_hop', TIMEOUT_MS / 2);
    assert.deepEqual(told().at(-1), ['no_next_hop', ['peer (10.1.2.1)']]);
  } finally {
    await lab.close();
  }
});
