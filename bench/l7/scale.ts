/**
 * A thousand routes and a thousand servers: how long a reload takes, seen by who asks for it, and by whom its time is taken; whether it
 * fails a request; what `anyhop l7 run` takes while nothing happens; and whether its looking at HAProxy's statistics shows in answers.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { run } from '../../scripts/lab/command.js';
import { startCall } from '../../scripts/lab/l7/call.js';
import { LOAD, type LoadResult } from '../../scripts/lab/l7/load.js';
import { PROGRAM } from '../../scripts/lab/lab.js';
import type { LogEvent } from '../../scripts/lab/process.js';
import { VIP4 } from '../../scripts/lab/topology.js';
import { median, report } from '../report.js';
import { cpuMs, FIRST, HAPROXY_PRIORITY, letGoFirst, prioritise, residentMib } from './cores.js';
import type { Fleet } from './fleet.js';
import { timed } from './latency.js';
import { quantile } from './load.js';
import { grouped, PLAIN } from './rates.js';
import { exactRoute, hostOfRoute, manyServers, ROUTES, SERVERS } from './sections.js';

const RELOAD_S_MAX = 2;
const CPU_PERCENT_MAX = 2;
const POLLING_US_MAX = 200;
const LOAD_PER_SECOND = 2_000;
const LOAD_CLIENTS = 100;
const REQUESTS_PER_CONNECTION = 50;
const LOAD_HOSTS = 10;
const TIMEOUT_MS = 10_000;
const POLL_MS = 20;
/** After a reload, until its traces are gone: servers checked, old workers ended, memory collected. */
const SETTLE_MS = 5_000;
/** HAProxy is asked every 4 s with so many servers: each turn has one question in it. */
const POLLING = { perSecond: 10_000, seconds: 4 };

interface Reload {
  /** Milliseconds from the start of `anyhop l7 reload` to its end. */
  readonly seen: number;
  /** Of these, what `anyhop l7 run` took. */
  readonly whole: number;
  /** Of these, from HAProxy's files to HAProxy serving with them. */
  readonly haproxy: number;
}

/** Puts the large config in force, and others like it. */
export async function measureReloads(fleet: Fleet, reloads: number): Promise<void> {
  // With a priority of its own, the master would keep the worker from serving while it reads.
  await haproxyPriority(fleet, 0);
  let edition = 0;
  const next = (): Promise<Reload> => reload(fleet, edition++);
  await next();
  const taken: Reload[] = [];
  const checks: number[] = [];
  for (let i = 0; i < reloads; i++) {
    taken.push(await next());
    checks.push(await checkMs(fleet));
  }
  const of = (part: (one: Reload) => number): number => median(taken.map(part));
  const seen = of((one) => one.seen);
  const check = median(checks);
  report({
    bench: `l7, ${ROUTES} routes and ${SERVERS} servers: a reload, as "anyhop l7 reload" sees it`,
    value: seen / 1000,
    unit: 's',
    target: RELOAD_S_MAX,
    note: [
      `ms: command ${grouped(of(({ seen, whole }) => seen - whole))}`,
      `config read and rendered ${grouped(of(({ whole, haproxy }) => whole - haproxy))}`,
      `haproxy -c ${grouped(check)}`,
      `files written, HAProxy reloaded ${grouped(of(({ haproxy }) => haproxy) - check)}`,
    ].join(', '),
  });
  await measureFailures(fleet, reloads, next);
}

async function measureFailures(fleet: Fleet, reloads: number, next: () => Promise<Reload>): Promise<void> {
  const { lab } = fleet;
  const load = await startCall(lab.resources, lab.client.namespace, LOAD, {
    ca: fleet.authority.file,
    protocol: 'http1' as const,
    targets: Array.from({ length: LOAD_HOSTS }, (_, i) => ({
      address: VIP4,
      host: hostOfRoute(exactRoute((i + 1) / (LOAD_HOSTS + 1))),
      path: '/v1/x',
      cookies: false,
    })),
    clients: LOAD_CLIENTS,
    requestsPerSecond: LOAD_PER_SECOND,
    requestsPerConnection: REQUESTS_PER_CONNECTION,
    timeoutMs: TIMEOUT_MS,
  });
  letGoFirst(load.process.pid);
  await load.process.waitForEvent('progress', TIMEOUT_MS);
  for (let i = 0; i < reloads; i++) await next();
  const result: LoadResult = await load.stop();
  const [reason = ''] = Object.keys(result.reasons);
  report({
    bench: `l7, the same: requests that fail in ${reloads} reloads`,
    value: result.failed,
    unit: 'requests',
    target: 0,
    note: `of ${grouped(result.requests)}, ${grouped(result.requests / result.seconds)} a second over TLS; p99 ${grouped(result.latencyMs.p99)} ms${reason === '' ? '' : `; first: ${reason}`}`,
  });
}

/** What `anyhop l7 run` takes when nothing happens. */
export async function measureRest(fleet: Fleet, restMs: number): Promise<void> {
  await delay(Math.min(SETTLE_MS, restMs));
  const [startMs, before] = [performance.now(), cpuMs(fleet.anyhop)];
  await delay(restMs);
  const share = (cpuMs(fleet.anyhop) - before) / (performance.now() - startMs);
  report({
    bench: `l7, "anyhop l7 run" at rest with ${SERVERS} servers`,
    value: share * 100,
    unit: '% of a core',
    target: CPU_PERCENT_MAX,
  });
  report({
    bench: 'l7, its memory',
    value: residentMib(fleet.anyhop),
    unit: 'MiB',
    note: `HAProxy: ${grouped(residentMib(fleet.worker))} MiB, and its master ${grouped(residentMib(fleet.master))}`,
  });
}

/** Answers while HAProxy's statistics are asked for, and while `anyhop l7 run` stands still. */
export async function measurePolling(fleet: Fleet, turns: number, seconds = POLLING.seconds): Promise<void> {
  await haproxyPriority(fleet, HAPROXY_PRIORITY);
  const p99 = { asked: [] as number[], left: [] as number[] };
  for (let turn = 0; turn < turns; turn++)
    for (const kind of ['asked', 'left'] as const) {
      if (kind === 'left') process.kill(fleet.anyhop, 'SIGSTOP');
      const times = await timed(fleet.lab, PLAIN, { ...POLLING, seconds }).finally(() =>
        process.kill(fleet.anyhop, 'SIGCONT'),
      );
      p99[kind].push(quantile(times, 0.99));
    }
  const [asked, left] = [median(p99.asked), median(p99.left)];
  report({
    bench: `l7, added by its looking at the statistics of ${SERVERS} servers, p99`,
    value: Math.max(0, asked - left), // less than nothing is noise
    unit: 'us',
    target: POLLING_US_MAX,
    note: `${grouped(asked)} us, ${grouped(left)} while it stands still; load ${grouped(POLLING.perSecond)} requests/s`,
  });
}

async function reload(fleet: Fleet, edition: number): Promise<Reload> {
  const { lab, proxy } = fleet;
  lab.configure(manyServers(fleet.certificates, edition));
  const told = (name: string): LogEvent[] => proxy.events.filter(({ event }) => event === name);
  const before = told('l7_reloaded').length;
  const argv = [process.execPath, PROGRAM, 'l7', 'reload', '--run-dir', lab.runDirectory(0)];
  const startMs = performance.now();
  const asked = await lab.resources.startProcess('anyhop l7 reload', lab.proxies[0]!.namespace, [
    ...FIRST,
    ...argv,
  ]);
  await asked.exited;
  const seen = performance.now() - startMs;
  if (!asked.lines.includes('in force by a reload')) throw new Error(`anyhop l7 reload: ${asked.tail()}`);
  while (told('l7_reloaded').length === before) await delay(POLL_MS); // its log comes by another pipe
  const took = (name: string): number => Number(told(name).at(-1)?.['tookMs']);
  return { seen, whole: took('l7_reloaded'), haproxy: took('haproxy_reloaded') };
}

async function checkMs({ lab }: Fleet): Promise<number> {
  const startMs = performance.now();
  const file = `${lab.runDirectory(0)}/current/haproxy.cfg`;
  await run(['setsid', '--wait', ...FIRST, 'haproxy', '-c', '-L', 'anyhop', '-f', file]);
  return performance.now() - startMs;
}

async function haproxyPriority(fleet: Fleet, priority: number): Promise<void> {
  for (const pid of [fleet.master, fleet.worker]) await prioritise(pid, priority);
}
