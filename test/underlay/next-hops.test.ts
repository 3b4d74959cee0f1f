/** Next hops followed through what happens to a host's links, routes and neighbours, in real network namespaces. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type { RunTool } from '#anyhop/core/tool.js';
import { parseAddress } from '#anyhop/packet/address.js';
import type { NextHops } from '#anyhop/underlay/next-hops.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { missingForIsolation } from '../isolation.js';
import { LEFT_MAC, RIGHT_MAC, targets, told, type Underlay, withNextHops, withUnderlay } from './underlay.js';

const TIMEOUT_MS = 60_000;
/** The kernel asks for 3 s, and what it gave up is asked again every 5 s. */
const EVENT_TIMEOUT_MS = 15_000;

/** Resolves once `hops` tell `expected`; rejects with what they tell instead. */
async function becomes(hops: NextHops, expected: Record<string, string | RegExp>): Promise<void> {
  const deadline = Date.now() + EVENT_TIMEOUT_MS;
  const matches = (): boolean =>
    Object.entries(expected).every(([address, text]) => {
      const now = told(hops)[address] ?? '';
      return typeof text === 'string' ? now === text : text.test(now);
    });
  while (!matches()) {
    if (Date.now() > deadline) assert.deepEqual(told(hops), expected);
    await delay(10);
  }
}

/** The law: what events led to is what a fresh resolution finds. */
async function agreesWithFresh(underlay: Underlay, hops: NextHops, ...addresses: string[]): Promise<void> {
  await withNextHops(underlay, async (fresh) => {
    await fresh.resolve(targets(...addresses));
    assert.deepEqual(told(hops), told(fresh));
  });
}

const left = `${LEFT_MAC} over eth0, MTU 1500`;
const right = `${RIGHT_MAC} over eth1, MTU 1500`;

const BACKENDS = ['10.1.0.1', '10.0.1.254', '10.0.2.254', '2001:db8::1', 'fd00:1::fe'];
/** What may happen to a node: where, and lines of `ip`. Not each makes sense after any other; then the kernel refuses it. */
const EVENTS: readonly (readonly ['node' | 'left' | 'right', ...string[]])[] = [
  ['node', 'route replace 10.1.0.0/16 via 10.0.2.254'],
  ['node', 'route replace 10.1.0.0/16 via 10.0.1.254'],
  ['node', 'route del 10.1.0.0/16'],
  ['node', 'route replace prohibit 10.1.0.0/16'],
  ['node', 'route replace 10.1.0.0/16 via 10.0.2.254 mtu 1400'],
  ['node', 'route replace 2001:db8::/32 via fd00:1::fe'],
  ['node', 'link set eth0 down'],
  ['node', 'link set eth0 up', 'addr replace fd00:1::1/64 dev eth0 nodad'],
  ['node', 'link set eth1 down'],
  ['node', 'link set eth1 up', 'addr replace fd00:2::1/64 dev eth1 nodad'],
  ['node', 'link set eth0 mtu 1400'],
  ['node', 'neigh flush dev eth0'],
  ['node', 'rule add to 10.1.0.0/16 blackhole'],
  ['left', 'link set eth0 down'],
  ['left', 'link set eth0 up', 'addr replace fd00:1::fe/64 dev eth0 nodad'],
  ['right', 'link set eth1 down'],
];

/** A command of `ip` may be refused; anything else may not fail. */
function refused(error: unknown): void {
  assert.match(String(error), /RTNETLINK answers|Error: /);
}

describe('in namespaces', { skip: missingForIsolation() }, () => {
  test('backends on the link and behind gateways, IPv4 and IPv6, are resolved before the first answer', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withUnderlay(async (underlay) => {
      await underlay.node(
        'route add 10.1.0.0/16 via 10.0.1.254 mtu 1400',
        'route add 10.2.0.0/16 via inet6 fd00:2::fe dev eth1',
        'route add 2001:db8::/32 via fd00:2::fe',
        'route add prohibit 10.4.0.0/16',
        'route add 10.5.0.0/16 via 10.0.1.254 mtu lock 576',
      );
      await withNextHops(underlay, async (hops, lines) => {
        const addresses = ['10.0.1.254', 'fd00:2::fe', '10.1.0.1', '10.2.0.1', '2001:db8::1'];
        await hops.resolve(targets(...addresses, '10.4.0.1', '10.5.0.1', '10.0.1.1', '192.0.2.1'));
        assert.deepEqual(told(hops), {
          '10.0.1.254': left,
          'fd00:2::fe': right,
          '10.1.0.1': `${LEFT_MAC} over eth0, MTU 1400`,
          '10.2.0.1': right,
          '2001:db8::1': right,
          '10.4.0.1': 'a prohibit route refuses it',
          '10.5.0.1': 'the route over eth0 has an MTU of 576 bytes, below 600',
          '10.0.1.1': 'it is this host itself',
          '192.0.2.1': 'no route covers it',
        });
        assert.ok(
          lines.includes(`info: next hop of web/10.0.1.254 (10.0.1.254) is ${left}`),
          lines.join('\n'),
        );
        const prohibited =
          'warn: web/10.4.0.1 (10.4.0.1) has no next hop: a prohibit route refuses it: it counts as down';
        assert.ok(lines.includes(prohibited), lines.join('\n'));
      });
    });
  });

  test('a gateway with another MAC address, a route to another gateway, a link down and up are followed', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withUnderlay(async (underlay) => {
      await underlay.node('route add 10.1.0.0/16 via 10.0.1.254', 'route add 2001:db8::/32 via fd00:1::fe');
      const backends = ['10.1.0.1', '2001:db8::1', '10.0.1.254'];
      await withNextHops(underlay, async (hops, lines) => {
        await hops.resolve(targets(...backends));
        assert.deepEqual(Object.values(told(hops)), [left, left, left]);

        // A gateway that took over tells so: gratuitous ARP and an unsolicited advertisement.
        const taken = '02:00:00:00:01:99 over eth0, MTU 1500';
        await underlay.left('link set eth0 address 02:00:00:00:01:99');
        await underlay.node('neigh flush dev eth0');
        await becomes(hops, { '10.1.0.1': taken, '2001:db8::1': taken, '10.0.1.254': taken });
        assert.ok(
          lines.some((line) => line.startsWith('info: next hop of') && line.endsWith(`is now ${taken}`)),
          lines.join('\n'),
        );
        assert.deepEqual(
          lines.filter((line) => line.startsWith('warn')),
          [],
          'a flush took backends down',
        );

        await underlay.node(
          'route replace 10.1.0.0/16 via 10.0.2.254',
          'route replace 2001:db8::/32 via fd00:2::fe',
        );
        await becomes(hops, { '10.1.0.1': right, '2001:db8::1': right, '10.0.1.254': taken });
        await agreesWithFresh(underlay, hops, ...backends);

        await underlay.node('link set eth1 down');
        await becomes(hops, { '10.1.0.1': 'no route covers it', '2001:db8::1': 'no route covers it' });
        await agreesWithFresh(underlay, hops, ...backends);

        await underlay.node(
          'link set eth1 up',
          'addr replace fd00:2::1/64 dev eth1 nodad',
          'route add 10.1.0.0/16 via 10.0.2.254',
          'route add 2001:db8::/32 via fd00:2::fe',
        );
        await becomes(hops, { '10.1.0.1': right, '2001:db8::1': right });
        await agreesWithFresh(underlay, hops, ...backends);

        await underlay.right('link set eth1 down');
        await becomes(hops, { '10.1.0.1': 'interface eth1 has no carrier' });
        await underlay.node('link set eth0 mtu 1300');
        await becomes(hops, { '10.0.1.254': '02:00:00:00:01:99 over eth0, MTU 1300' });
        await agreesWithFresh(underlay, hops, ...backends);
      });
    });
  });

  test('a neighbour that does not answer counts as down after the kernel gave up, and is back once it does', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withUnderlay(async (underlay) => {
      await withNextHops(underlay, async (hops, lines) => {
        const startMs = performance.now();
        await hops.resolve(targets('10.0.1.77', 'fd00:1::77', '10.0.1.254'));
        const tookMs = performance.now() - startMs;
        assert.ok(tookMs > 2_500 && tookMs < 10_000, `${tookMs} ms`);
        assert.deepEqual(told(hops), {
          '10.0.1.77': 'it does not answer ARP on eth0',
          '10.0.1.254': left,
          'fd00:1::77': 'it does not answer neighbour solicitations on eth0',
        });
        await underlay.left('addr add 10.0.1.77/24 dev eth0', 'addr add fd00:1::77/64 dev eth0 nodad');
        await becomes(hops, { '10.0.1.77': left, 'fd00:1::77': left });
        const warnings = lines.filter((line) => line.startsWith('warn'));
        assert.equal(warnings.length, 2, `asking again is no change:\n${lines.join('\n')}`);
      });
    });
  });

  test('a gateway that dies is noticed without traffic of the host itself', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withUnderlay(async (underlay) => {
      const base = (ms: number) => `net.ipv4.neigh.eth0.base_reachable_time_ms=${ms}`;
      const quick = ['sysctl', '-qw', base(1_000), 'net.ipv4.neigh.eth0.delay_first_probe_time=1'];
      await run(inNamespace(underlay.namespace, quick));
      await withNextHops(underlay, async (hops) => {
        await hops.resolve(targets('10.0.1.254'));
        await underlay.left('addr del 10.0.1.254/24 dev eth0');
        await becomes(hops, { '10.0.1.254': 'it does not answer ARP on eth0' });
      });
    });
  });

  test('what was set by hand is used, and left as it is', { timeout: TIMEOUT_MS }, async () => {
    await withUnderlay(async (underlay) => {
      await underlay.node(
        'neigh add 10.0.1.50 lladdr 02:00:00:00:00:50 nud permanent dev eth0',
        'neigh add 10.0.1.51 lladdr 02:00:00:00:00:51 extern_learn nud reachable dev eth0',
      );
      const table = (): Promise<string> =>
        run(['ip', '-n', underlay.namespace, 'neigh', 'show', 'to', '10.0.1.50/31']);
      const before = await table();
      assert.match(before, /10\.0\.1\.50 .*PERMANENT/);
      assert.match(before, /10\.0\.1\.51 .*extern_learn REACHABLE/);
      await withNextHops(underlay, async (hops) => {
        await hops.resolve(targets('10.0.1.50', '10.0.1.51'));
        assert.deepEqual(Object.values(told(hops)), [
          '02:00:00:00:00:50 over eth0, MTU 1500',
          '02:00:00:00:00:51 over eth0, MTU 1500',
        ]);
        await delay(6_000); // neighbours are used every 5 s
        assert.equal(await table(), before);
      });
    });
  });

  test("routes are those of packets from the node's source, also after a rule or the address has changed", {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withUnderlay(async (underlay) => {
      await underlay.node(
        'route add 10.1.0.0/16 via 10.0.1.254',
        'route add 10.1.0.0/16 via 10.0.2.254 table 100',
        'route add 2001:db8::/32 via fd00:1::fe',
        'route add 2001:db8::/32 via fd00:2::fe table 100',
        'rule add from 10.0.1.1 lookup 100',
        'rule add from 10.0.9.0/28 lookup 100',
      );
      const address = (text: string) => parseAddress(text)!;
      const sources = { source4: address('10.0.1.1'), source6: address('fd00:1::1') };
      const both = targets('10.1.0.1', '2001:db8::1');
      await withNextHops(
        underlay,
        async (hops, lines) => {
          await hops.resolve(both);
          assert.deepEqual(told(hops), { '10.1.0.1': right, '2001:db8::1': left });
          await underlay.node('rule del from 10.0.1.1 lookup 100');
          await becomes(hops, { '10.1.0.1': left });
          await run(inNamespace(underlay.namespace, 'ip -6 rule add from fd00:1::1 lookup 100'.split(' ')));
          await becomes(hops, { '2001:db8::1': right });
          assert.ok(!lines.some((line) => line.includes('without the source')), lines.join('\n'));
        },
        sources,
      );
      // The kernel tells no IPv4 route for a source that is not its own: that is said where a rule looks at it.
      await withNextHops(
        underlay,
        async (hops, lines) => {
          await hops.resolve(both);
          assert.equal(told(hops)['10.1.0.1'], left);
          const warning =
            'warn: routes are looked up without the source of what is sent: 10.0.9.1 is no address of this host, and rules ' +
            'look at it (32764: from 10.0.9.0/28); give it to the host: ip addr add 10.0.9.1/32 dev lo';
          assert.equal(lines.filter((line) => line === warning).length, 1, lines.join('\n'));
          await underlay.node('link set lo up', 'addr add 10.0.9.1/32 dev lo');
          await becomes(hops, { '10.1.0.1': right });
        },
        { source4: address('10.0.9.1') },
      );
    });
  });

  test('other targets take the place of the former ones, and what became of them is told to listeners', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withUnderlay(async (underlay) => {
      await withNextHops(underlay, async (hops) => {
        await hops.resolve(targets('10.0.1.254'));
        const changed: string[] = [];
        const off = hops.onChange((changes) => changed.push(...changes.map(({ address }) => address.text)));
        await hops.resolve(targets('10.0.2.254', '192.0.2.1'));
        assert.deepEqual(told(hops), { '10.0.2.254': right, '192.0.2.1': 'no route covers it' });
        assert.deepEqual(changed.sort(), ['10.0.2.254', '192.0.2.1']);
        off();
        await underlay.node('route add 192.0.2.0/24 via 10.0.2.254');
        await becomes(hops, { '192.0.2.1': right });
        assert.equal(changed.length, 2);
      });
    });
  });

  test('thousands of backends are resolved by a few runs of ip, and follow their gateway', {
    timeout: TIMEOUT_MS,
  }, async () => {
    await withUnderlay(async (underlay) => {
      await underlay.node('route add 10.1.0.0/16 via 10.0.1.254');
      const backends = targets(...Array.from({ length: 4_000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`));
      let runs = 0;
      const counted: RunTool = (...command) => {
        runs += 1;
        return underlay.run(...command);
      };
      await withNextHops({ ...underlay, run: counted }, async (hops) => {
        await hops.resolve(backends);
        // Tables, a question to the gateway, and a look at what it answered now and then: 0.2 s on two idle cores.
        assert.ok(runs < 40, `${runs} runs`);
        assert.deepEqual(new Set(Object.values(told(hops))), new Set([left]));
        await underlay.node('route replace 10.1.0.0/16 via 10.0.2.254');
        await becomes(hops, { '10.1.15.159': right });
        assert.deepEqual(new Set(Object.values(told(hops))), new Set([right]));
      });
    });
  });

  test('after any sequence of events they are what a fresh resolution finds', {
    timeout: 120_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...EVENTS), { minLength: 3, maxLength: 8 }),
        async (events) => {
          await withUnderlay(async (underlay) => {
            await underlay.node(
              'route add 10.1.0.0/16 via 10.0.1.254',
              'route add 2001:db8::/32 via fd00:2::fe',
            );
            await withNextHops(underlay, async (hops) => {
              await hops.resolve(targets(...BACKENDS));
              for (const [end, ...lines] of events) await underlay[end](...lines).catch(refused);
              const deadline = Date.now() + EVENT_TIMEOUT_MS;
              for (;;) {
                try {
                  return await agreesWithFresh(underlay, hops, ...BACKENDS);
                } catch (error) {
                  if (Date.now() > deadline) throw error;
                }
              }
            });
          });
        },
      ),
      { numRuns: 8 },
    );
  });
});
