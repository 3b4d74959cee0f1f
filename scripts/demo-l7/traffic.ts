/** The demo's clients: two loads, one over HTTP/1.1 that opens connections all the time, one over HTTP/2 that keeps its own. */
import { setTimeout as delay } from 'node:timers/promises';
import { startCall } from '../lab/l7/call.js';
import { LOAD, type LoadPlan, type LoadProgress, type LoadResult } from '../lab/l7/load.js';
import { type DemoFleet, TARGETS } from './fleet.js';

/** What the loads did, together. */
export type Traffic = Pick<
  LoadResult,
  'requests' | 'failed' | 'connections' | 'failures' | 'moves' | 'servers' | 'proxies'
>;

export interface RunningTraffic {
  /** So far, as told every second. */
  soFar(): LoadProgress;
  /** Waits until a proxy answers again, and one more second of requests. Rejects when it does not in time. */
  untilAnswered(proxy: string): Promise<void>;
  stop(): Promise<Traffic>;
}

const REQUESTS_PER_SECOND = 100;
const REQUEST_TIMEOUT_MS = 5_000;
const LOADS: readonly Partial<LoadPlan>[] = [
  { protocol: 'http1', requestsPerConnection: 25 },
  { protocol: 'http2' },
];
const FIRST_TIMEOUT_MS = 20_000;
/** Then what was answered before is told. */
const TOLD_MS = 1_500;
const ANSWERED_TIMEOUT_MS = 30_000;
const POLL_MS = 100;

/** Starts it; resolves once requests are under way. */
/** @param more of both loads */
export async function startTraffic(
  { lab, authority }: DemoFleet,
  more: Partial<LoadPlan> = {},
): Promise<RunningTraffic> {
  const plan = {
    ca: authority.file,
    protocol: 'http1',
    targets: TARGETS,
    clients: TARGETS.length,
    requestsPerSecond: REQUESTS_PER_SECOND,
    timeoutMs: REQUEST_TIMEOUT_MS,
  } as const;
  const { resources, client } = lab;
  const loads = await Promise.all(
    LOADS.map((own) => startCall(resources, client.namespace, LOAD, { ...plan, ...own, ...more })),
  );
  await Promise.all(loads.map(({ process }) => process.waitForEvent('progress', FIRST_TIMEOUT_MS)));
  const soFar = (): LoadProgress => {
    const told = loads.map(
      ({ process }) =>
        process.events.findLast(({ event }) => event === 'progress') as unknown as LoadProgress,
    );
    return { requests: sum(told, 'requests'), failed: sum(told, 'failed'), proxies: counts(told, 'proxies') };
  };
  return {
    soFar,
    async untilAnswered(proxy) {
      const answers = (): number => soFar().proxies[proxy] ?? 0;
      await delay(TOLD_MS);
      const before = answers();
      const deadline = Date.now() + ANSWERED_TIMEOUT_MS;
      while (answers() === before) {
        if (Date.now() > deadline)
          throw new Error(`${proxy} answers nothing within ${ANSWERED_TIMEOUT_MS / 1_000} s`);
        await delay(POLL_MS);
      }
      await delay(1_000);
    },
    async stop() {
      const results = await Promise.all(loads.map((load) => load.stop()));
      return {
        requests: sum(results, 'requests'),
        failed: sum(results, 'failed'),
        connections: sum(results, 'connections'),
        failures: results.flatMap(({ failures }) => failures),
        moves: results.flatMap(({ moves }) => moves),
        servers: counts(results, 'servers'),
        proxies: counts(results, 'proxies'),
      };
    },
  };
}

function sum<K extends string>(each: readonly Readonly<Record<K, number>>[], key: K): number {
  return each.reduce((total, one) => total + one[key], 0);
}

function counts<K extends string>(
  each: readonly Readonly<Record<K, Readonly<Record<string, number>>>>[],
  key: K,
): Record<string, number> {
  const total: Record<string, number> = {};
  for (const one of each)
    for (const [name, count] of Object.entries(one[key])) total[name] = (total[name] ?? 0) + count;
  return total;
}
