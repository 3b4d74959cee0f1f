/** ExaBGP and GoBGP with their printed configs, as they are, and what feeds them: each state of a row reaches the router's table. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inNamespace, run } from '../../../scripts/lab/command.js';
import { BIRD_TOOLS, type Bird, startBird } from '../../../scripts/lab/ha/bird.js';
import { missingForIsolation } from '../../isolation.js';
import {
  CHANGE_MS,
  type Forwarder,
  neighbors,
  PROGRAM,
  printed,
  SESSION_MS,
  type Site,
  VIP4,
  VIP6,
  withSite,
} from '../print/site.js';

const timeout = 120_000;
const VIPS = [VIP4, VIP6];
const OF_ROUTER = '198.51.100.0/24';

/** @param use gets the site with a router that waits for the forwarder, and its config of a format */
async function withFed(
  format: string,
  use: (
    site: Site & { readonly bird: Bird; readonly forwarder: Forwarder; readonly config: string },
  ) => Promise<void>,
): Promise<void> {
  await withSite(1, '179', async (site) => {
    const { resources, router, forwarders } = site;
    const [forwarder] = forwarders as [Forwarder];
    const routerConfig = await printed('bird-router', {
      neighbors: neighbors(forwarder.here4, forwarder.here6),
    });
    const bird = await startBird(
      resources,
      { name: 'router', namespace: router },
      // A router that tells all that it knows.
      `${routerConfig.replaceAll('export none; import limit', 'export all; import limit')}
        protocol static { ipv4; route ${OF_ROUTER} blackhole; }`,
    );
    const config = join(resources.directory, format);
    writeFileSync(
      config,
      await printed(format, { neighbors: neighbors(forwarder.router4, forwarder.router6) }),
    );
    await use({ ...site, bird, forwarder, config });
  });
}

/** Waits until the router has the VIPs with this MED, or without one none. */
async function untilAtRouter({ fib, bird }: { fib: Site['fib']; bird: Bird }, med?: number): Promise<void> {
  const wanted = med === undefined ? 0 : 1;
  await fib.until(
    `with ${wanted} next hops`,
    () => VIPS.every((vip) => fib.hops(vip).length === wanted),
    SESSION_MS,
  );
  if (med === undefined) return;
  const deadline = Date.now() + CHANGE_MS;
  for (const vip of VIPS)
    for (;;) {
      const route = await bird.ask(`show route all for ${vip}`);
      const isDrain = /BGP\.community: \(65535,0\)/.test(route) && /BGP\.local_pref: 0\s/.test(route);
      if (route.includes(`BGP.med: ${med}`) && isDrain === med >= 200) break;
      assert.ok(Date.now() < deadline, route);
      await delay(20);
    }
}

const add = (metric: number) => VIPS.map((vip) => ['add', vip, metric] as const);
const del = (metric: number) => VIPS.map((vip) => ['del', vip, metric] as const);

describe('ExaBGP with its printed config', { skip: missingForIsolation('exabgp', ...BIRD_TOOLS) }, () => {
  test('follows the rows; a feed that is killed has a successor that withdraws what is gone', {
    timeout,
  }, async () => {
    await withFed('exabgp', async (site) => {
      const { resources, forwarder, config } = site;
      const settings = ['daemonize=false', 'user=root'].map((each) => `exabgp.daemon.${each}`);
      const exabgp = await resources.startProcess('exabgp', forwarder.namespace, [
        'env',
        ...[...settings, 'exabgp.api.ack=false', 'exabgp.api.cli=false'],
        'exabgp',
        config,
      ]);
      await forwarder.rows(...add(100));
      await untilAtRouter(site, 100);
      await forwarder.rows(...add(200), ...del(100));
      await untilAtRouter(site, 200);
      await forwarder.rows(...add(100), ...del(200));
      await untilAtRouter(site, 100);

      const feed = await feedOf(forwarder.namespace);
      // One that is stopped sees nothing; when it is killed then, its successor must find out.
      process.kill(feed, 'SIGSTOP');
      await forwarder.rows(['del', VIP4, 100], ['add', VIP6, 200], ['del', VIP6, 100]);
      process.kill(feed, 'SIGKILL');
      await site.fib.until('without the VIP', () => site.fib.hops(VIP4).length === 0, SESSION_MS);
      await forwarder.rows(['add', VIP4, 200]);
      await untilAtRouter(site, 200);
      await forwarder.rows(...del(200));
      await untilAtRouter(site);
      await exabgp.stop();
      assert.deepEqual(await processesOf(forwarder.namespace), [], 'the feed ends with ExaBGP');
    });
  });
});

describe('GoBGP with its printed config', {
  skip: missingForIsolation('gobgpd', 'gobgp', ...BIRD_TOOLS),
}, () => {
  test('follows the rows; a gobgpd that starts anew has them again, and takes nothing from the router', {
    timeout,
  }, async () => {
    await withFed('gobgp', async (site) => {
      const { resources, forwarder, config } = site;
      mkdirSync(join(resources.directory, 'run'));
      const socket = join(resources.directory, 'run', 'gobgp.sock');
      const gobgpd = ['gobgpd', '-f', config, '--pprof-disable', `--api-hosts=unix://${socket}`];
      const first = await resources.startProcess('gobgpd', forwarder.namespace, gobgpd);
      const feed = await resources.startProcess('feed', forwarder.namespace, [
        PROGRAM,
        ...['announce', '--feed', 'gobgp', '--gobgp-socket', socket],
      ]);
      await forwarder.rows(...add(100));
      await untilAtRouter(site, 100);
      await forwarder.rows(...add(200), ...del(100));
      await untilAtRouter(site, 200);
      await forwarder.rows(...add(100), ...del(200));
      await untilAtRouter(site, 100);
      await forwarder.rows(...del(100));
      await untilAtRouter(site);

      await forwarder.rows(...add(100));
      await untilAtRouter(site, 100);
      const told = (event: string): Promise<unknown> =>
        feed.waitForLine((line) => line.includes(`"event":"${event}"`), event, SESSION_MS);
      const failed = told('feed_failed');
      await first.stop();
      await untilAtRouter(site);
      await failed;
      const recovered = told('feed_recovered');
      await resources.startProcess('gobgpd', forwarder.namespace, gobgpd);
      await recovered;
      await untilAtRouter(site, 100);
      const gobgp = (...args: string[]): Promise<string> =>
        run(['gobgp', '--target', `unix://${socket}`, ...args]);
      assert.match(await gobgp('neighbor', forwarder.router4, 'adj-in'), new RegExp(OF_ROUTER));
      assert.doesNotMatch(await gobgp('global', 'rib'), new RegExp(OF_ROUTER));
      await feed.stop();
      assert.match(feed.tail(), /"event":"stopping"/);
    });
  });
});

async function processesOf(namespace: string): Promise<number[]> {
  const pids = await run(['ip', 'netns', 'pids', namespace]);
  return pids
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

/** The pid of `anyhop announce --feed` in a namespace. */
async function feedOf(namespace: string): Promise<number> {
  for (const pid of await processesOf(namespace)) {
    const command = await run(inNamespace(undefined, ['cat', `/proc/${pid}/cmdline`]), { mayFail: true });
    if (command.includes('\0--feed\0') && command.includes('main.js')) return pid;
  }
  throw new Error(`no feed runs in ${namespace}`);
}
