/**
 * Requests by h2load, HTTP/1.1, at a fixed rate: so both ways are measured at the same load, and not each at its own limit. A request
 * that fails is an error, not a figure.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { inNamespace, run } from '../../scripts/lab/command.js';
import type { Lab } from '../../scripts/lab/lab.js';
import { CLIENT_PRIORITY, OTHERS_CPU, onCore, TIMED_PRIORITY } from './cores.js';

export interface Target {
  /** Names scheme, host and path. */
  readonly url: string;
  /** What to connect to: `203.0.113.10:80`, `[2001:db8::1]:80`. */
  readonly address: string;
}

export interface Load {
  /** A new connection for each request; otherwise connections are kept. */
  readonly fresh?: boolean;
  readonly perSecond: number;
  readonly seconds: number;
}

/** Each connection of h2load sends at a tick, a hundred times a second: one request after the other. */
const TICKS_PER_SECOND = 100;
/** Two at a tick: with one, its timers would take more of its core than its requests. */
const PER_CONNECTION = 200;
/** Connections begin in so many steps: all at once would send all at once, ever after. */
const STEPS_PER_SECOND = 1000;
const CLOSED_LOOP_CONNECTIONS = 100;
const TIMEOUT_MS = 60_000;
let logs = 0;

/** Sends requests; resolves to how many. */
export async function send(lab: Lab, target: Target, load: Load): Promise<number> {
  return h2load(lab, target, plan(load, PER_CONNECTION), CLIENT_PRIORITY);
}

/** The same; resolves to how long each answer took, in microseconds. */
export async function time(lab: Lab, target: Target, load: Load): Promise<number[]> {
  logs += 1;
  const file = join(lab.resources.directory, `h2load-${logs}.log`);
  await h2load(lab, target, [...plan(load, TICKS_PER_SECOND), `--log-file=${file}`], TIMED_PRIORITY);
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  rmSync(file, { force: true });
  return lines.map((line) => Number(line.split('\t')[2]));
}

/** Requests a second when each connection sends its next one as soon as it has its answer. */
export async function most(lab: Lab, target: Target, requests: number): Promise<number> {
  const startMs = performance.now();
  const options = ['-c', String(CLOSED_LOOP_CONNECTIONS), '-n', String(requests)];
  await h2load(lab, target, options, CLIENT_PRIORITY);
  return requests / ((performance.now() - startMs) / 1000);
}

function plan({ fresh = false, perSecond, seconds }: Load, perConnection: number): string[] {
  const requests = Math.round(perSecond * seconds);
  if (fresh) {
    const perStep = Math.max(1, Math.round(perSecond / STEPS_PER_SECOND));
    return ['-n', `${requests}`, '-c', `${requests}`, '-r', `${perStep}`, '--rate-period=1ms'];
  }
  const connections = Math.max(1, Math.round(perSecond / perConnection));
  const perStep = Math.ceil((connections * TICKS_PER_SECOND) / STEPS_PER_SECOND);
  const begin = ['-c', `${connections}`, '-r', `${perStep}`, '--rate-period=1ms'];
  return ['-n', `${Math.max(connections, requests)}`, ...begin, '--rps', `${perConnection}`];
}

async function h2load(
  lab: Lab,
  { url, address }: Target,
  options: readonly string[],
  priority: number,
): Promise<number> {
  const before = await onCore(OTHERS_CPU, priority);
  const argv = [...before, 'h2load', '--h1', ...options, `--connect-to=${address}`, url];
  const printed = await run(inNamespace(lab.client.namespace, argv), { timeoutMs: TIMEOUT_MS });
  const counts = /^requests: (\d+) total, .* (\d+) succeeded, /m.exec(printed);
  if (counts === null || counts[1] !== counts[2])
    throw new Error(`h2load ${url}: requests failed\n${printed}`);
  return Number(counts[2]);
}

/** @param share 0 to 1 */
export function quantile(times: readonly number[], share: number): number {
  if (times.length === 0) throw new Error('no request was answered');
  return times.toSorted((a, b) => a - b)[Math.min(times.length - 1, Math.floor(share * times.length))]!;
}
