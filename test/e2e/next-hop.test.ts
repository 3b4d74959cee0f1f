/** The underlay changes under running forwarders: what a route, or a router's MAC address, does to new connections. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { EngineChoice } from '#anyhop/config/types.js';
import { NODE_ENGINES } from '#anyhop/core/engines.js';
import { createLab, type Lab, missingForLab } from '../../scripts/lab/lab.js';
import type { LabProcess } from '../../scripts/lab/process.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { VIP4, VIP6 } from '../../scripts/lab/topology.js';

const TIMEOUT_MS = 60_000;
const PUBLISH_TIMEOUT_MS = 10_000;

for (const engine of NODE_ENGINES) {
  test(
    `on ${engine} a backend without a route loses its flows to others and gets them back, and a router's new MAC address is used`,
    {
      skip: missingForLab()?.message ?? false,
      timeout: TIMEOUT_MS,
    },
    () => followUnderlay(engine),
  );
}

for (const engine of ['xdp', 'portable'] as const) {
  test(`on ${engine} packets leave by another interface than they came in on, when the backends' routes say so`, {
    skip: missingForLab()?.message ?? false,
    timeout: TIMEOUT_MS,
  }, async () => {
    const lab = await createLab({ forwarders: 1, backends: 2, engine });
    try {
      await lab.connectAgain(0);
      await lab.startAll();
      assert.deepEqual(new Set(await owners(lab, 20_000)), new Set(['web-1', 'web-2']));
      const gre = [...(await lab.counters()).values()].reduce((sum, port) => sum + port.gre, 0);
      assert.ok(gre > 0);
      const [first, second] = [await received(lab, 'edge-1'), await received(lab, 'edge-1b')];
      assert.ok(second >= gre, `${gre} GRE packets, and ${second} of all kinds left by the second link`);
      assert.ok(first < gre / 2, `${gre} GRE packets, and ${first} of all kinds left by the first link`);
    } finally {
      await lab.close();
    }
  });
}

for (const engine of ['xdp', 'portable'] as const) {
  test(`on ${engine} packets take the way that a rule for the node's source names, and none that it does not, when the rule is gone`, {
    skip: missingForLab()?.message ?? false,
    timeout: TIMEOUT_MS,
  }, async () => {
    const lab = await createLab({ forwarders: 1, backends: 2, engine });
    try {
      await lab.connectAgain(0);
      const { namespace, host4, host6 } = lab.forwarders[0]!;
      const onEdge = (command: string): Promise<string> => lab.exec(namespace, ['ip', ...command.split(' ')]);
      // The second link is known to one table alone, and the table to one rule.
      await onEdge('route del 10.1.0.0/16');
      await onEdge('-6 route del fd00:1::/32');
      await onEdge('route add 10.1.0.0/16 via 10.3.1.254 table 100');
      await onEdge('-6 route add fd00:1::/32 via fd00:3:1::fe table 100');
      await onEdge(`rule add from ${host4} lookup 100`);
      await onEdge(`-6 rule add from ${host6} lookup 100`);
      const { forwarders } = await lab.startAll();
      const sent = async (firstSourcePort: number): Promise<number> => {
        const before = await received(lab, 'edge-1b');
        assert.deepEqual(new Set(await owners(lab, firstSourcePort)), new Set(['web-1', 'web-2']));
        return (await received(lab, 'edge-1b')) - before;
      };
      const byRule = await sent(20_000);
      assert.ok(byRule >= 20, `${byRule} packets of 20 connections left by the second link`);
      await published(forwarders[0]!, async () => {
        await onEdge(`rule del from ${host4} lookup 100`);
        await onEdge(`-6 rule del from ${host6} lookup 100`);
      });
      const without = await sent(21_000);
      assert.ok(without < byRule / 2, `${without} packets still left by the second link`);
    } finally {
      await lab.close();
    }
  });
}

test('on af_xdp, which sends by one interface alone, backends behind another count as down, and the node is not ready', {
  skip: missingForLab()?.message ?? false,
  timeout: TIMEOUT_MS,
}, async () => {
  const lab = await createLab({ forwarders: 1, backends: 1, engine: 'af_xdp' });
  try {
    await lab.connectAgain(0);
    const forwarder = await lab.startForwarder(0, undefined, 'not_ready');
    const warning = forwarder.events.find(({ event }) => event === 'no_next_hop')!;
    assert.equal(warning['reason'], 'its next hop is on eth1, and af_xdp sends only out of eth0');
  } finally {
    await lab.close();
  }
});

/** Packets that came in at a port of the router. */
async function received(lab: Lab, port: string): Promise<number> {
  const show = ['ip', '-json', '-stats', 'link', 'show', 'dev', port];
  const [shown] = JSON.parse(await lab.exec(lab.router, show));
  return shown.stats64.rx.packets;
}

async function followUnderlay(engine: EngineChoice): Promise<void> {
  const lab = await createLab({ forwarders: 1, backends: 2, engine });
  try {
    const { forwarders } = await lab.startAll();
    const forwarder = forwarders[0]!;
    const [edge, backend] = [lab.forwarders[0]!, lab.backends[0]!];
    const onEdge = (...argv: string[]): Promise<string> => lab.exec(edge.namespace, ['ip', ...argv]);
    const before = await owners(lab, 20_000);
    assert.deepEqual(new Set(before), new Set(['web-1', 'web-2']));

    await published(forwarder, async () => {
      await onEdge('route', 'add', 'prohibit', backend.host4);
      await onEdge('route', 'add', 'prohibit', backend.host6);
    });
    assert.deepEqual(new Set(await owners(lab, 21_000)), new Set(['web-2']));

    await published(forwarder, async () => {
      await onEdge('route', 'del', 'prohibit', backend.host4);
      await onEdge('route', 'del', 'prohibit', backend.host6);
    });
    assert.deepEqual(await owners(lab, 20_000), before);

    // The router announces it, as one that took over from another does.
    for (const name of ['net.ipv4.conf.all.arp_notify', `net.ipv6.conf.${edge.name}.ndisc_notify`])
      await lab.exec(lab.router, ['sysctl', '-qw', `${name}=1`]);
    await delay(1_100); // an entry that has just been confirmed takes no other address for a second (locktime)
    await published(forwarder, () =>
      lab.exec(lab.router, ['ip', 'link', 'set', edge.name, 'address', '02:00:00:00:99:99']),
    );
    assert.deepEqual(await owners(lab, 22_000).then((names) => names.includes(null)), false);
  } finally {
    await lab.close();
  }
}

/** Who answers each of twenty flows, or null. */
async function owners(lab: Lab, firstSourcePort: number): Promise<(string | null)[]> {
  const requests = [VIP4, VIP6].flatMap((vip) => getRequests(vip, 80, { count: 10, firstSourcePort }));
  const answers = await lab.request({ requests, concurrency: 8, timeoutMs: 3_000 });
  const flow = ({ host, sourcePort }: { host: string; sourcePort: number }): string =>
    `${host} ${sourcePort}`;
  const byFlow = new Map(answers.map((answer) => [flow(answer), answer.backend]));
  return requests.map((request) => byFlow.get(flow(request))!);
}

/** Does it, and waits until the forwarder has nothing more to publish. */
async function published(forwarder: LabProcess, change: () => Promise<unknown>): Promise<void> {
  const count = (): number => forwarder.events.filter(({ event }) => event === 'published').length;
  const before = count();
  await change();
  const deadline = Date.now() + PUBLISH_TIMEOUT_MS;
  while (count() === before) {
    assert.ok(Date.now() < deadline, `nothing was published\n${forwarder.tail()}`);
    await delay(20);
  }
  for (let last = -1; last !== count(); await delay(500)) last = count();
}
