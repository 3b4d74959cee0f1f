/**
 * `make demo-l7`: a small fleet with layer 7 on this machine, and real HTTPS requests through it while it changes. The last lines
 * say what came of them; the exit code is 0 only if no request failed but those that a killed HAProxy takes along.
 */
import { EXIT } from '#anyhop/core/errors.js';
import { BROKEN, changeFleet, killHaproxy, RELOADS } from './demo-l7/events.js';
import { CHECK, type DemoFleet, startFleet } from './demo-l7/fleet.js';
import { changesReport, killReport, type Report } from './demo-l7/report.js';
import { startTraffic } from './demo-l7/traffic.js';
import { L7_TOOLS } from './lab/l7/lab.js';
import { runInLab } from './lab/main.js';
import { VIP4, VIP6 } from './lab/topology.js';

const PICTURE = `
anyhop demo-l7: a small fleet with layer 7, in network namespaces of this machine.

                      +--> edge-1 --+  GRE   +--> proxy-1 --+        +--> shop-1, shop-2
  client --> router --|    anyhop   |------> |    HAProxy   |------> |    api-1, api-2
      ^       ECMP    +--> edge-2 --+        +--> proxy-2 --+  HTTP  +--> nginx
      |                  forwarders               |
      +---------------- the answer goes straight back

The client asks https://shop.example.com/, https://api.example.com/v1/items and https://www.example.com/help at ${VIP4} and
${VIP6}, over HTTP/1.1 and HTTP/2, with and without cookies. "anyhop l7 run" on each proxy host makes HAProxy's configuration
from the fleet's config and runs HAProxy by it.
`;

await runInLab('demo-l7', demo, L7_TOOLS);

async function demo(): Promise<number> {
  console.log(PICTURE);
  const startMs = performance.now();
  const say = (text: string): void => {
    const seconds = (performance.now() - startMs) / 1_000;
    console.log(`${seconds.toFixed(1).padStart(6)} s  ${text}`);
  };
  const fleet = await startFleet();
  try {
    say('everything runs');
    const changes = await changesUnderLoad(fleet, say);
    console.log(changes.text);
    console.log();
    const kill = await killUnderLoad(fleet, say);
    console.log(`\n${kill.text}`);
    return changes.passed && kill.passed ? EXIT.ok : EXIT.failure;
  } catch (error) {
    for (const proxy of fleet.proxies) console.error(proxy.tail());
    throw error;
  } finally {
    await fleet.lab.close();
  }
}

async function changesUnderLoad(fleet: DemoFleet, say: (text: string) => void): Promise<Report> {
  const { lab } = fleet;
  const names = (hosts: readonly { name: string }[]): string[] => hosts.map(({ name }) => name);
  const traffic = await startTraffic(fleet);
  const broken = await changeFleet(fleet, traffic, (text) => {
    const { requests, failed } = traffic.soFar();
    say(`${text} (${requests} requests, ${failed} failed)`);
  });
  return changesReport({
    traffic: await traffic.stop(),
    router: await lab.counters(),
    forwarders: names(lab.forwarders),
    proxies: names(lab.proxies),
    servers: names(lab.upstreamServers),
    brokenServer: BROKEN,
    broken,
    reloads: RELOADS,
  });
}

async function killUnderLoad(fleet: DemoFleet, say: (text: string) => void): Promise<Report> {
  const traffic = await startTraffic(fleet);
  const kill = await killHaproxy(fleet, traffic, say);
  return killReport(await traffic.stop(), kill, CHECK.fall * CHECK.intervalMs + CHECK.timeoutMs);
}
