/**
 * What does a scrape of 20,000 series cost a node? The main thread, which publishes images: how long it is busy. The scraper: how long
 * it waits. Client and listener have threads of their own, as in life. `--quick` does little of it, to see that the bench still works.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { gunzipSync } from 'node:zlib';
import { parseConfig } from '#anyhop/config/load.js';
import type { LoadedConfig } from '#anyhop/config/types.js';
import { WEB_SAMPLE_MS } from '#anyhop/core/limits.js';
import { createLog } from '#anyhop/core/log.js';
import type { Engine } from '#anyhop/engine/contract.js';
import { COUNTERS_PER_ENTRY, Counters } from '#anyhop/forward/counters.js';
import { Histogram } from '#anyhop/metrics/histogram.js';
import { type Assembly, assemble, fixedPath, servedOf } from '#anyhop/node/assemble.js';
import { CheckTimes } from '#anyhop/node/check-times.js';
import { type Measured, NodeMetrics } from '#anyhop/node/metrics.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { NO_POOLS, take } from '#anyhop/pool/membership.js';
import { Listener } from '#anyhop/web/listener.js';
import { median, report } from './report.js';

const quick = process.argv.includes('--quick');
const [POOLS, BACKENDS] = quick ? [2, 5] : [17, 100];
const SCRAPES = quick ? 2 : 15;
const MTU = 1500;

interface Scraped {
  readonly ms: number;
  readonly bytes: number;
  readonly series: number;
}

if (isMainThread) await measure();
else
  parentPort!.on('message', async ({ gzip }: { gzip: boolean }) =>
    parentPort!.postMessage(await scrape(gzip)),
  );

async function measure(): Promise<void> {
  const config = configOf();
  const counters = new Counters();
  counters.grow(POOLS, POOLS * BACKENDS);
  let assembly = assembled(config);
  const metrics = metricsOf(config, counters, () => assembly);
  let port = 0;
  const listener = new Listener(config.node.metrics, {
    log: createLog('silent'),
    collect: () => metrics.collect(),
    listening: (on) => {
      port = on;
    },
  });
  while (port === 0) await delay(5);
  const client = new Worker(fileURLToPath(import.meta.url), { workerData: port });
  const ask = async (gzip: boolean): Promise<Scraped> => {
    client.postMessage({ gzip });
    const [scraped] = await once(client, 'message');
    return scraped;
  };
  const first = await ask(true);
  const busy: number[] = [];
  const plain: number[] = [];
  const zipped: number[] = [];
  const afterChange: number[] = [];
  for (let i = 0; i < SCRAPES * 3; i++) {
    await delay(WEB_SAMPLE_MS);
    for (let at = 0; at < counters.backends.length; at += COUNTERS_PER_ENTRY) counters.backends[at] += at + i;
    const isOther = i % 3 === 2;
    if (isOther) assembly = assembled(config, assembly);
    globalThis.gc?.(); // what making an image left is not the scrape's
    const before = mainThreadMs();
    const { ms } = await ask(i % 3 === 0);
    (isOther ? afterChange : busy).push(mainThreadMs() - before);
    (i % 3 === 0 ? zipped : plain).push(ms);
  }
  await listener.close();
  await client.terminate();
  const what = `${first.series.toLocaleString('en')} series`;
  report({
    bench: `metrics: main thread busy for one scrape, ${what}`,
    value: median(busy),
    unit: 'ms',
    target: 2,
    note: `worst ${Math.max(...busy).toFixed(2)} ms, processor time, with all else that the thread did meanwhile; the first after another image ${median(afterChange).toFixed(2)} ms`,
  });
  report({
    bench: `metrics: one scrape, ${what}`,
    value: median(plain),
    unit: 'ms',
    target: 100,
    note: `worst ${Math.max(...plain).toFixed(0)} ms; compressed ${median(zipped).toFixed(1)} ms; the first one, with all label sets, ${first.ms.toFixed(0)} ms; ${first.bytes.toLocaleString('en')} bytes compressed`,
  });
}

/** Processor time of this thread, by the scheduler: other programs of a busy machine are not in it. */
function mainThreadMs(): number {
  return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e6;
}

function configOf(): LoadedConfig<'run'> {
  const pools = Array.from({ length: POOLS }, (_, pool) => {
    const backends = Array.from(
      { length: BACKENDS },
      (_, i) => `{name: backend-${i}, address: 10.${pool}.${i >> 8}.${i & 255}}`,
    );
    return `  pool-${pool}: {backends: [${backends.join(', ')}]}`;
  });
  const services = Array.from(
    { length: POOLS },
    (_, pool) =>
      `  - {name: service-${pool}, vip: 203.0.113.10, protocol: tcp, port: ${pool + 1}, pool: pool-${pool}}`,
  );
  const config = parseConfig(
    `
node: {name: bench, interface: eth0, source: [10.0.0.1], key: 000102030405060708090a0b0c0d0e0f, metrics: {}}
pools:
${pools.join('\n')}
services:
${services.join('\n')}
`,
    'bench.yaml',
    { role: 'run', env: {} },
  );
  const listen = { address: parseAddress('127.0.0.1')!, port: 0 };
  return { ...config, node: { ...config.node, metrics: { listen, tls: undefined, login: undefined } } };
}

/** @param previous one backend of the first pool changes sides */
function assembled(config: LoadedConfig<'run'>, previous?: Assembly): Assembly {
  const served = servedOf(config);
  const wasUp = previous?.pools[0].state[0].health === 'up';
  const pools = served.pools.map((pool, i) => {
    const [one, ...others] = pool.state;
    return i > 0 || !wasUp ? pool : { ...pool, state: [{ ...one, health: 'down' as const }, ...others] };
  });
  const path = fixedPath(MTU);
  const next = assemble(
    { ...served, pools },
    config.node,
    previous === undefined
      ? { generation: 1, path }
      : {
          generation: previous.image.generation + 1,
          path,
          numbers: previous.numbers,
          previous,
        },
  );
  // A node has them for its log already.
  for (const { tables } of next.pools) void (tables.ownersDigest + tables.alternatesDigest);
  return next;
}

function metricsOf(config: LoadedConfig<'run'>, counters: Counters, assembly: () => Assembly): NodeMetrics {
  const engine = {
    name: 'xdp',
    mode: 'native',
    detached: undefined,
    counters: () => counters,
    engineCounters: async () => ({ received: 1, sent: 1, sendFailed: 0, missed: 0 }),
  } as unknown as Engine;
  const measured = (): Measured => ({
    engine,
    isSlower: false,
    forwarding: { assembly: assembly(), failure: undefined, publishTimes: new Histogram() },
  });
  const membership = take(NO_POOLS, config.pools, { force: false, nowMs: 0 });
  const at = new Date().toISOString();
  return new NodeMetrics({
    node: config.node,
    keyFingerprint: () => 'bench',
    configFile: () => ({ file: 'bench.yaml', loadedAt: at }),
    readiness: () => ({
      ready: true,
      reasons: [],
      services: config.services.map(({ name, pool }) => ({ name, pool, ready: true })),
    }),
    unkept: () => undefined,
    checks: new CheckTimes(),
    pools: () => membership,
    pathReports: () => ({ raised: 0, withoutSize: 0, unrelated: 0, lost: 0 }),
    agent: () => ({ reachable: true, at, connections: 100 }),
    drain: () => undefined,
    defence: () => undefined,
    forwarded: measured,
  });
}

function scrape(gzip: boolean): Promise<Scraped> {
  const startMs = performance.now();
  const headers = gzip ? { 'accept-encoding': 'gzip' } : {};
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: workerData, path: '/metrics', headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const ms = performance.now() - startMs;
        const body = Buffer.concat(parts);
        const text = (gzip ? gunzipSync(body) : body).toString();
        resolve({
          ms,
          bytes: body.length,
          series: text.split('\n').filter((line) => /^[a-z]/.test(line)).length,
        });
      });
    });
    asked.on('error', reject);
    asked.end();
  });
}
