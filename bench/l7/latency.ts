/**
 * What a forwarder, and the whole way through a proxy, add to the time that an answer takes, at half of the load that the lab carries.
 * The requests that are timed are few, beside the load: so their times are not those of h2load's own queue.
 */
import type { Lab } from '../../scripts/lab/lab.js';
import { median, report } from '../report.js';
import type { Fleet } from './fleet.js';
import { type Load, most, quantile, send, type Target, time } from './load.js';
import { grouped, ordered, PLAIN, SHOP } from './rates.js';

const FORWARDER_US_MAX = 1_000;
const PROXY_US_MAX = 5_000;
const TIMED_PER_SECOND = 1_000;

interface Arm {
  readonly target: Target;
  /** Makes it the way that packets take. */
  readonly choose: () => Promise<void>;
}

/** Layer 4: a redirect of HAProxy's own, through the forwarder and straight. Layer 7: nginx through all of it, and straight. */
export async function measureLatency(
  fleet: Fleet,
  turns: number,
  seconds: number,
  quick: boolean,
): Promise<void> {
  const straight = { target: PLAIN, choose: () => fleet.take('straight') };
  const forwarder = { target: PLAIN, choose: () => fleet.take('forwarder') };
  await fleet.take('forwarder');
  const tries = quick ? 200 : 20_000;
  const half = (rate: number): number => Math.max(100, Math.round(rate / 2 / 100) * 100);
  const own = half(await most(fleet.lab, PLAIN, tries));
  await added('a forwarder', FORWARDER_US_MAX, [straight, forwarder], own);
  const shop = half(await most(fleet.lab, SHOP, tries));
  const server = { url: SHOP.url, address: fleet.server };
  await added(
    'forwarder and proxy',
    PROXY_US_MAX,
    [
      { target: server, choose: async () => {} },
      { target: SHOP, choose: () => fleet.take('forwarder') },
    ],
    shop,
  );

  async function added(
    what: string,
    target: number,
    arms: readonly [Arm, Arm],
    perSecond: number,
  ): Promise<void> {
    const p50: [number[], number[]] = [[], []];
    const p99: [number[], number[]] = [[], []];
    for (let turn = 0; turn < turns; turn++)
      for (const way of ordered(turn)) {
        const arm = way === 'straight' ? 0 : 1;
        await arms[arm].choose();
        const times = await timed(fleet.lab, arms[arm].target, { perSecond, seconds });
        p50[arm].push(quantile(times, 0.5));
        p99[arm].push(quantile(times, 0.99));
      }
    const [without, through] = p99.map(median) as [number, number];
    report({
      bench: `l7, added by ${what} at half load, p99`,
      value: Math.max(0, through - without), // less than nothing is noise
      unit: 'us',
      target,
      note: `${grouped(through)} us, ${grouped(without)} straight; p50 ${p50.map(median).map(grouped).toReversed().join(', ')}; load ${grouped(perSecond)} requests/s`,
    });
  }
}

/** Requests beside a load of the same kind. */
export async function timed(lab: Lab, target: Target, load: Load): Promise<number[]> {
  const [, times] = await Promise.all([
    send(lab, target, load),
    time(lab, target, { perSecond: TIMED_PER_SECOND, seconds: load.seconds }),
  ]);
  return times;
}
