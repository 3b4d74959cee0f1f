/** What happens to the demo's fleet while requests go on. */
import { setTimeout as delay } from 'node:timers/promises';
import type { L7Status } from '#anyhop/l7/status.js';
import type { DemoFleet } from './fleet.js';
import type { RunningTraffic } from './traffic.js';

export const BROKEN = 'shop-2';
export const RELOADS = 10;
/** Proxies by index from 0. */
const RELOADED = 0;
const DRAINED = 1;
const KILLED = 0;

const CALM_MS = 2_000;
/** Longer than the proxies need to take the server out. */
const BROKEN_MS = 5_000;
/** For its checks to pass again. */
const UP_TIMEOUT_MS = 20_000;
const POLL_MS = 200;

/** While it was broken, by the epoch. */
export interface BrokenTime {
  readonly fromMs: number;
  readonly toMs: number;
}

type Say = (text: string) => void;

/** A server fails, one proxy reloads, the other is drained and comes back: no request may fail. */
export async function changeFleet(fleet: DemoFleet, traffic: RunningTraffic, say: Say): Promise<BrokenTime> {
  await delay(CALM_MS);
  const broken = await breakServer(fleet, say);
  await reloadProxy(fleet, RELOADED, RELOADS, say);
  await drainProxy(fleet, DRAINED, traffic, say);
  return broken;
}

async function breakServer({ lab }: DemoFleet, say: Say): Promise<BrokenTime> {
  const server = lab.upstreamServers.find(({ name }) => name === BROKEN)!;
  const fromMs = Date.now();
  server.setBroken(true);
  say(`${BROKEN} answers 500 to everything`);
  await delay(BROKEN_MS);
  server.setBroken(false);
  await Promise.all([...lab.proxies.keys()].map((index) => untilUp(lab, index)));
  // Until its checks pass, clients that it had go elsewhere.
  const toMs = Date.now();
  say(`${BROKEN} answers again`);
  await delay(CALM_MS);
  return { fromMs, toMs };
}

/** Waits until a proxy (index from 0) sends requests to the broken server again. */
async function untilUp(lab: DemoFleet['lab'], index: number): Promise<void> {
  const deadline = Date.now() + UP_TIMEOUT_MS;
  for (;;) {
    const { upstreams } = await statusOf(lab, index);
    const server = upstreams.flatMap(({ servers }) => servers).find(({ name }) => name === BROKEN);
    if (server?.health === 'up') return;
    if (Date.now() > deadline) throw new Error(`${BROKEN} is not up again: ${server?.why}`);
    await delay(POLL_MS);
  }
}

/** Each time with another config. @param index of the proxy, from 0 */
export async function reloadProxy(
  { lab, section }: DemoFleet,
  index: number,
  times: number,
  say: Say,
): Promise<void> {
  const { name } = lab.proxies[index]!;
  const { haproxy: before } = await statusOf(lab, index);
  for (let i = 1; i <= times; i++) {
    lab.configureProxy(index, section(index, `reload ${before.reloads + i}`));
    const printed = await lab.l7(index, ['reload']);
    if (!printed.startsWith('in force by a reload')) throw new Error(`${name}: the reload says ${printed}`);
  }
  const { haproxy } = await statusOf(lab, index);
  say(`${name} has reloaded ${haproxy.reloads} times, each time with another config`);
}

/** Drains a proxy (index from 0), and takes it back. */
export async function drainProxy(
  { lab }: DemoFleet,
  index: number,
  traffic: RunningTraffic,
  say: Say,
): Promise<void> {
  const { name } = lab.proxies[index]!;
  say(`${name} is drained`);
  await lab.l7(index, ['drain', '--wait']);
  say(`${name} has no connection left, and its HAProxy has ended`);
  await delay(CALM_MS);
  await lab.l7(index, ['undrain']);
  await traffic.untilAnswered(name);
  say(`${name} is back and answers again`);
}

/** When a proxy's HAProxy was killed, by the epoch, and the proxy's name. */
export interface Kill {
  readonly atMs: number;
  readonly proxy: string;
}

/** kill -9 of one HAProxy: its own open connections break. */
export async function killHaproxy({ lab }: DemoFleet, traffic: RunningTraffic, say: Say): Promise<Kill> {
  await delay(CALM_MS);
  const { name } = lab.proxies[KILLED]!;
  const { haproxy } = await statusOf(lab, KILLED);
  const atMs = Date.now();
  process.kill(haproxy.pid!, 'SIGKILL');
  say(`HAProxy on ${name} is killed (kill -9)`);
  await traffic.untilAnswered(name);
  say(`${name} answers again`);
  await delay(CALM_MS);
  return { atMs, proxy: name };
}

async function statusOf(lab: DemoFleet['lab'], index: number): Promise<L7Status> {
  return JSON.parse(await lab.l7(index, ['status', '--json']));
}
