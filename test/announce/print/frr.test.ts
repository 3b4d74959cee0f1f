/** The printed configs start FRR as they are, on a forwarder and on its router, and carry each state of a row to the router's table. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseAddress } from '#anyhop/packet/address.js';
import { run } from '../../../scripts/lab/command.js';
import { BIRD_TOOLS, startBird } from '../../../scripts/lab/ha/bird.js';
import { type Frr, startFrr, withoutFrr } from '../../../scripts/lab/ha/frr.js';
import { missingForIsolation } from '../../isolation.js';
import { CHANGE_MS, type Forwarder, neighbors, printed, SESSION_MS, VIP4, VIP6, withSite } from './site.js';

const skip = missingForIsolation('vtysh', ...BIRD_TOOLS) || withoutFrr;
const timeout = 120_000;
const MAIN = '{table: main}';

interface Path {
  readonly community?: { readonly string: string };
  readonly locPrf?: number;
  readonly metric?: number;
}

async function pathsOf(frr: Frr, vip: string, forwarder: string): Promise<Path[]> {
  const family = vip.includes(':') ? 'ipv6' : 'ipv4';
  const found = JSON.parse(await frr.ask(`show bgp ${family} unicast ${vip} json`)) as {
    paths?: (Path & { peer: { peerId: string } })[];
  };
  return (found.paths ?? []).filter(({ peer }) => peer.peerId === forwarder);
}

describe('the printed configs of FRR', { skip }, () => {
  test('a router, a forwarder, and one of another system with BIRD: ECMP, a drain, a withdrawal, for IPv4 and IPv6', {
    timeout,
  }, async () => {
    await withSite(2, 'main', async ({ resources, router, forwarders, fib }) => {
      const start = async (name: string, namespace: string, text: string): Promise<Frr> => {
        const file = join(resources.directory, `check-${name}.conf`);
        writeFileSync(file, text);
        await run(['vtysh', '-C', '--inputfile', file]);
        return startFrr(resources, { name, namespace }, text);
      };
      const [one, two] = forwarders as [Forwarder, Forwarder];
      const toForwarders = neighbors(
        `${one.here4}=65011`,
        `${two.here4}=65012`,
        `${one.here6}=65011`,
        `${two.here6}=65012`,
      );
      const atRouter = await start(
        'router',
        router,
        await printed('frr-router', { neighbors: toForwarders }, MAIN),
      );
      const options = ({ router4, router6, here4 }: Forwarder, asn: number) => ({
        asn,
        neighbors: neighbors(router4, router6),
        routerId: parseAddress(here4)!,
      });
      await start(one.name, one.namespace, await printed('frr', options(one, 65_011), MAIN));
      await startBird(resources, two, await printed('bird', options(two, 65_012), MAIN));
      await atRouter.untilEstablished(4, SESSION_MS);
      const hops = (vip: string): number => fib.hops(vip).length;
      const until = (what: string, wanted: number): Promise<void> =>
        fib.until(what, () => hops(VIP4) === wanted && hops(VIP6) === wanted, CHANGE_MS);

      for (const { rows } of forwarders) await rows(['add', VIP4, 100], ['add', VIP6, 100]);
      await until('over both forwarders', 2);
      await one.rows(
        ['add', VIP4, 200],
        ['del', VIP4, 100],
        ['add', VIP6, 200],
        ['del', VIP6, 100],
        ['add', '203.0.113.11', 100],
      );
      await until('over the forwarder that does not drain', 1);
      assert.deepEqual(fib.hops(VIP4), [two.here4]);
      for (const [vip, peer] of [
        [VIP4, one.here4],
        [VIP6, one.here6],
      ] as const) {
        const [path] = await pathsOf(atRouter, vip, peer);
        assert.equal(path?.community?.string, 'graceful-shutdown');
        assert.equal(path?.locPrf, 0);
        assert.equal(path?.metric, 200);
      }
      await two.rows(['del', VIP4, 100], ['del', VIP6, 100]);
      await fib.until(
        'over the draining forwarder, the last one',
        () => fib.hops(VIP4)[0] === one.here4 && hops(VIP6) === 1,
        CHANGE_MS,
      );
      await one.rows(['del', VIP4, 200], ['del', VIP6, 200]);
      await until('without the VIPs', 0);
      assert.deepEqual(
        fib.rows.filter(({ destination }) => destination === '203.0.113.11'),
        [],
      );
    });
  });
});

describe('a config that FRR cannot export', () => {
  for (const [announce, message] of [
    ['{}', /announce.table is 179, and FRR exports rows of the main table only/],
    ['{table: main, drain_metric: 16777216}', /announce.drain_metric is 16777216/],
  ] as const)
    test(`is refused: ${announce}`, async () => {
      await assert.rejects(printed('frr', { neighbors: neighbors('10.9.1.1', 'fd09:1::1') }, announce), {
        code: 'ERR_USAGE',
        message,
      });
    });
});
