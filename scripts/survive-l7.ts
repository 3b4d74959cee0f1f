/**
 * `make survive-l7`: a hundred reloads with other configs, then a rolling drain of all proxy hosts, under the load of the demo. Not one request
 * may fail. The last line says what came of it; so does the exit code.
 */
import { EXIT } from '#anyhop/core/errors.js';
import { drainProxy, reloadProxy } from './demo-l7/events.js';
import { startFleet } from './demo-l7/fleet.js';
import { failureLines } from './demo-l7/report.js';
import { startTraffic } from './demo-l7/traffic.js';
import { L7_TOOLS } from './lab/l7/lab.js';
import { runInLab } from './lab/main.js';

const RELOADS = 100;
/**
 * A drain and its end are two changes of the pool, so the drain of the next proxy host waits until one of them has settled. Connections must
 * live for less than that: each client sends some eight requests a second.
 */
const SETTLE_TIME = '20s';
const REQUESTS_PER_CONNECTION = 50;
/** Reloads of one proxy host before the next one's turn. */
const IN_A_ROW = 10;

await runInLab('survive-l7', survive, L7_TOOLS);

async function survive(): Promise<number> {
  const startMs = performance.now();
  const fleet = await startFleet({ pool: { settle_time: SETTLE_TIME }, drainDeadline: '1m' });
  try {
    const traffic = await startTraffic(fleet, { requestsPerConnection: REQUESTS_PER_CONNECTION });
    const say = (text: string): void => {
      const { requests, failed } = traffic.soFar();
      const seconds = (performance.now() - startMs) / 1_000;
      console.log(`${seconds.toFixed(1).padStart(6)} s  ${text} (${requests} requests, ${failed} failed)`);
    };
    const proxies = [...fleet.lab.proxies.keys()];
    for (let done = 0; done < RELOADS; done += IN_A_ROW)
      await reloadProxy(fleet, proxies[(done / IN_A_ROW) % proxies.length]!, IN_A_ROW, say);
    for (const proxy of proxies) await drainProxy(fleet, proxy, traffic, say);
    const { requests, failed, failures } = await traffic.stop();
    console.log(
      [
        ...failureLines(failures),
        `survive-l7: ${requests} requests, ${failed} failed, ${RELOADS} reloads, ${proxies.length} drains`,
      ].join('\n'),
    );
    return failed === 0 && requests > 0 ? EXIT.ok : EXIT.failure;
  } catch (error) {
    for (const proxy of fleet.proxies) console.error(proxy.tail());
    throw error;
  } finally {
    await fleet.lab.close();
  }
}
