/** Panic: with fewer servers up than a share of the active ones, requests go to the panic twin, where all of them count as up. */
import type { L7Upstream } from '../../config/l7/types.js';
import { identifier, integer, list } from './line.js';
import type { ServerInForce } from './servers.js';

/** Upstream to the least number of servers that must be up; HAProxy's map, so that a drain can change it at runtime. */
export const PANIC_FILE = 'panic.map';

/** Of a share times a number of servers: 7 % of 100 is 7, which the product of binary fractions exceeds. */
const DIGITS = 12;

/** Draining servers and those with weight 0 are not expected up. 0: never. */
export function panicLeast(threshold: number, servers: readonly ServerInForce[]): number {
  const expected = servers.filter(({ weight }) => weight > 0).length;
  return Math.ceil(Number((threshold * expected).toPrecision(DIGITS)));
}

export function panicMap(
  upstreams: readonly L7Upstream[],
  serversOf: (upstream: L7Upstream) => readonly ServerInForce[],
): string {
  return upstreams
    .filter(({ panicThreshold }) => panicThreshold > 0)
    .map((upstream) => {
      const least = integer(panicLeast(upstream.panicThreshold, serversOf(upstream)));
      return `${list([identifier(upstream.name), least]).text}\n`;
    })
    .join('');
}
