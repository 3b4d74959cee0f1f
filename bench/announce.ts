/**
 * How long until a router has no route any more to a forwarder that cannot serve, how long until it has those to a thousand VIPs, and what
 * `anyhop announce` costs at rest. With real routing daemons, in network namespaces (bench/announce/fleet.ts).
 *
 * The engine is portable, which ends with its process. Times end with the word of the router's kernel that the route is gone. All of it
 * goes before other programs of the machine, where that is permitted. `--quick` does little of it.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { missingForIsolation } from '../test/isolation.js';
import { BIRD, type Daemon, FRR } from './announce/daemons.js';
import { AnnouncingFleet } from './announce/fleet.js';
import { cpuMs, prioritise } from './l7/cores.js';
import { median, report, skip } from './report.js';

const quick = process.argv.includes('--quick');
const [KILLS, OTHER_LOSSES, VIPS, REST_MS] = quick ? [1, 1, 10, 1000] : [100, 20, 1000, 30_000];
const LOST_TARGET_MS: Readonly<Record<Daemon['name'], number>> = { BIRD: 50, FRR: 150 };
const ANNOUNCED_TARGET_MS = 1000;
const CORE_TARGET_PERCENT = 0.5;
const MEMORY_TARGET_MB = 60;
/** After the routes are there, until nothing is left to do: the process gives memory back 5 s after its start. */
const SETTLE_MS = 10_000;
/** Of sched(7): the lowest one that goes before ordinary programs. What is started later has it too. */
const PRIORITY = 1;

const missing = missingForIsolation('nft', 'ethtool', 'sysctl', 'taskset', 'chrt');
if (missing !== false) skip('announce', missing);
else {
  await prioritise(process.pid, PRIORITY);
  for (const daemon of [BIRD, FRR]) await measure(daemon);
}

async function measure(daemon: Daemon): Promise<void> {
  if (daemon.missing !== false) {
    skip(`announce, ${daemon.name}`, daemon.missing);
    return;
  }
  await withFleet(daemon, 1, (fleet) => measureLosses(daemon, fleet));
  await withFleet(daemon, VIPS, (fleet) => measureMany(daemon, fleet));
}

async function withFleet(
  daemon: Daemon,
  vips: number,
  work: (fleet: AnnouncingFleet) => Promise<void>,
): Promise<void> {
  const fleet = await AnnouncingFleet.create(daemon, vips);
  try {
    await work(fleet);
  } finally {
    await fleet.close();
  }
}

async function measureLosses({ name }: Daemon, fleet: AnnouncingFleet): Promise<void> {
  const target = LOST_TARGET_MS[name];
  const losing = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<number> => {
    await fleet.announce();
    return fleet.lose(signal);
  };
  reportTimes(`${name}: node killed`, await times(KILLS, () => losing('SIGKILL')), target);
  reportTimes(`${name}: node stopped`, await times(OTHER_LOSSES, () => losing('SIGTERM')), target);
  await fleet.announce();
  reportTimes(`${name}: way to the backends lost`, await times(OTHER_LOSSES, () => fleet.cutOff()));
}

async function times(count: number, one: () => Promise<number>): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < count; i++) all.push(await one());
  return all.sort((a, b) => a - b);
}

/** @param sorted milliseconds */
function reportTimes(what: string, sorted: readonly number[], target?: number): void {
  report({
    bench: `announce, ${what} to route gone from the router, p99`,
    value: sorted[Math.ceil(sorted.length * 0.99) - 1]!,
    unit: 'ms',
    target,
    note: `${sorted.length} times; median ${median(sorted).toFixed(1)}, worst ${sorted.at(-1)!.toFixed(1)}`,
  });
}

async function measureMany({ name }: Daemon, fleet: AnnouncingFleet): Promise<void> {
  report({
    bench: `announce, ${name}: node ready to ${VIPS} VIPs in the router`,
    value: await fleet.announce(),
    unit: 'ms',
    target: ANNOUNCED_TARGET_MS,
    note: 'half IPv4, half IPv6; rise: 0s',
  });
  if (name === 'BIRD') await measureRest(fleet.announcer.pid);
  report({
    bench: `announce, ${name}: node killed to ${VIPS} VIPs gone from the router`,
    value: await fleet.lose('SIGKILL'),
    unit: 'ms',
  });
}

async function measureRest(pid: number): Promise<void> {
  await delay(SETTLE_MS);
  const [from, before] = [performance.now(), cpuMs(pid)];
  await delay(REST_MS);
  report({
    bench: `announce: the process at rest, ${VIPS} VIPs: processor`,
    value: (100 * (cpuMs(pid) - before)) / (performance.now() - from),
    unit: '% of a core',
    target: CORE_TARGET_PERCENT,
  });
  report({
    bench: `announce: the process at rest, ${VIPS} VIPs: resident memory (RSS)`,
    value: memoryMb(pid, 'VmRSS'),
    unit: 'MB',
    target: MEMORY_TARGET_MB,
    note: `most at one time: ${memoryMb(pid, 'VmHWM').toFixed(0)} MB, at the start`,
  });
  report({
    bench: `announce: the process at rest, ${VIPS} VIPs: memory of its own (RssAnon)`,
    value: memoryMb(pid, 'RssAnon'),
    unit: 'MB',
    note: 'the rest are pages of programs and libraries, which all their processes share',
  });
}

/** @param field of /proc/PID/status */
function memoryMb(pid: number, field: 'RssAnon' | 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, 'm').exec(text)![1]) / 1024;
}
