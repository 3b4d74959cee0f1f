/** The printed configs start BIRD as they are, on forwarders and on their router, and carry each state of a row to the router's table. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parseAddress, parsePrefix } from '#anyhop/packet/address.js';
import { run } from '../../../scripts/lab/command.js';
import { BIRD_TOOLS, type Bird, startBird } from '../../../scripts/lab/ha/bird.js';
import { missingForIsolation } from '../../isolation.js';
import { CHANGE_MS, neighbors, printed, SESSION_MS, type Site, VIP4, VIP6, withSite } from './site.js';

const skip = missingForIsolation(...BIRD_TOOLS);
const timeout = 120_000;

describe('the printed configs of BIRD', { skip }, () => {
  for (const [table, announce] of [
    ['179', '{}'],
    ['main', '{table: main}'],
  ] as const)
    test(`two forwarders with rows in table ${table}: ECMP, a drain, a withdrawal, for IPv4 and IPv6`, {
      timeout,
    }, async () => {
      await withSite(2, table, async (site) => {
        const { router } = await startAll(site, announce);
        const { fib, forwarders } = site;
        const [one, two] = forwarders as [(typeof forwarders)[0], (typeof forwarders)[0]];
        const vips = [
          [VIP4, one.here4, two.here4],
          [VIP6, one.here6, two.here6],
        ] as const;
        const until = (what: string, hops: (vip: (typeof vips)[number]) => readonly string[]) =>
          fib.until(what, () => vips.every((vip) => sameHops(fib.hops(vip[0]), hops(vip))), CHANGE_MS);

        for (const { rows } of forwarders) await rows(['add', VIP4, 100], ['add', VIP6, 100]);
        await until('over both forwarders', ([, first, second]) => [first, second]);
        assert.match(await router.ask(`show route all ${VIP4}/32`), /BGP\.med: 100/);

        await one.rows(...vips.flatMap(([vip]) => [['add', vip, 200] as const, ['del', vip, 100] as const]));
        await until('over the forwarder that does not drain', ([, , second]) => [second]);
        for (const [vip] of vips) {
          const route = await router.ask(
            `show route all for ${vip} protocol anyhop_forwarder${vip === VIP4 ? 1 : 3}`,
          );
          assert.match(route, /BGP\.community: \(65535,0\)/);
          assert.match(route, /BGP\.med: 200/);
          assert.match(route, /BGP\.local_pref: 0/);
        }

        await two.rows(['del', VIP4, 100], ['del', VIP6, 100]);
        await until('over the draining forwarder, the last one', ([, first]) => [first]);
        await one.rows(['del', VIP4, 200], ['del', VIP6, 200]);
        await until('without the VIPs', () => []);

        // Rows that nobody but another program can have made.
        await one.rows(['add', VIP4, 100]);
        await fib.until('with the VIP again', () => fib.hops(VIP4).length === 1, CHANGE_MS);
        await run([
          'ip',
          '-n',
          two.namespace,
          ...`route add blackhole 203.0.113.11 table ${table} proto static`.split(' '),
        ]);
        await two.rows(['add', '203.0.113.12', 100]);
        await one.rows(['del', VIP4, 100]);
        await fib.until('without the VIP', () => fib.hops(VIP4).length === 0, CHANGE_MS);
        for (const foreign of ['203.0.113.11', '203.0.113.12'])
          assert.deepEqual(
            fib.rows.filter(({ destination }) => destination === foreign),
            [],
          );
      });
    });

  test('a daemon that hangs loses its routes by BFD', { timeout }, async () => {
    await withSite(2, '179', async (site) => {
      const { fib, forwarders } = site;
      const { router, birds } = await startAll(site, '{}');
      for (const { rows } of forwarders) await rows(['add', VIP4, 100], ['add', VIP6, 100]);
      const until = (hops: number): Promise<void> =>
        fib.until(
          `over ${hops}`,
          () => [VIP4, VIP6].every((vip) => fib.hops(vip).length === hops),
          CHANGE_MS,
        );
      await until(2);
      const deadline = Date.now() + SESSION_MS;
      // The session of BGP does not wait for that of BFD.
      while ((await router.ask('show bfd sessions')).match(/ Up /g)?.length !== 4) {
        assert.ok(Date.now() < deadline, 'BFD is up');
        await delay(50);
      }
      const hung = birds[0]!.process.pid;
      process.kill(hung, 'SIGSTOP');
      try {
        await until(1);
        assert.match(await router.ask('show protocols all anyhop_forwarder1'), /Last error:.*BFD/);
      } finally {
        process.kill(hung, 'SIGCONT');
      }
    });
  });

  test('a thousand rows at once reach the router within a second, and none waits for a scan', {
    timeout,
  }, async () => {
    await withSite(1, '179', async (site) => {
      const { fib, forwarders } = site;
      const { router, birds } = await startAll(site, '{}', ['203.0.113.0/24', '198.18.0.0/15']);
      const vips = Array.from({ length: 1_000 }, (_, i) => `198.18.${i >> 8}.${i & 255}`);
      await forwarders[0]!.rows(...vips.map((vip) => ['add', vip, 100] as const));
      await fib.until('full', () => vips.every((vip) => fib.hops(vip).length === 1), CHANGE_MS);
      for (const bird of [router, ...birds])
        assert.doesNotMatch(bird.process.tail(), /Kernel dropped some netlink/);
    });
  });
});

function sameHops(a: readonly string[], b: readonly string[]): boolean {
  return [...a].sort().join() === [...b].sort().join();
}

/** Starts BIRD on the router and on all forwarders; resolves when all sessions and their BFD sessions are up. */
async function startAll(
  { resources, router, forwarders }: Site,
  announce: string,
  prefixes?: readonly string[],
): Promise<{ router: Bird; birds: readonly Bird[] }> {
  const toForwarders = [...forwarders.map(({ here4 }) => here4), ...forwarders.map(({ here6 }) => here6)];
  const atRouter = await startBird(
    resources,
    { name: 'router', namespace: router },
    await printed('bird-router', {
      neighbors: neighbors(...toForwarders),
      ...(prefixes && { prefixes: [...prefixes, `${VIP6}/128`].map((text) => parsePrefix(text)!) }),
    }),
  );
  const birds = [];
  for (const { name, namespace, here4, router4, router6 } of forwarders) {
    const options = { neighbors: neighbors(router4, router6), routerId: parseAddress(here4)! };
    birds.push(await startBird(resources, { name, namespace }, await printed('bird', options, announce)));
  }
  await atRouter.untilEstablished(forwarders.length * 2, SESSION_MS);
  return { router: atRouter, birds };
}
