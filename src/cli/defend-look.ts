/** Two answers of a node, one after the other, for rates of what it only counts. */
import { setTimeout as delay } from 'node:timers/promises';
import { ask } from './control-client.js';

export interface Look<R> {
  readonly report: R;
  readonly atMs: number;
}

/** An answer of before. */
export interface Earlier<R> {
  readonly report: R;
  readonly agoMs: number;
}

/** Rates are of so long, where nobody watches. */
const RATES_MS = 1000;

export async function look<R>(socket: string, path: string): Promise<Look<R>> {
  return { report: (await ask(socket, path)) as R, atMs: performance.now() };
}

/** The first of two: rates need a moment between them. */
export async function lookAndWait<R>(socket: string, path: string): Promise<Look<R>> {
  const first = await look<R>(socket, path);
  await delay(RATES_MS);
  return first;
}

/** @param more what was counted in between; negative when counters began again, of which nothing is told */
export function aSecond(more: number, ms: number): number {
  return ms > 0 && more > 0 ? (more * 1000) / ms : 0;
}
