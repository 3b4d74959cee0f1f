/**
 * What a request costs HAProxy, through a forwarder and without one: requests per second of its processor time, in turns at the same
 * rate. A ratio is the median over the turns.
 */
import { SERVICES } from '../../scripts/lab/l7/lab.js';
import { median, report } from '../report.js';
import type { Fleet, Used, Way } from './fleet.js';
import { type Load, send, type Target } from './load.js';
import {
  exactRoute,
  hostOfRoute,
  OWN_HOST,
  ROUTES,
  SHOP_HOST,
  WILDCARD_SHARE,
  wildcardRoute,
} from './sections.js';

const RATIO_MIN = 0.95;
const LOST_MAX = 10;
const CLUSTER_PER_SECOND = 1_000_000;

export interface Case {
  readonly name: string;
  readonly target: Target;
  readonly load: Omit<Load, 'seconds'>;
}

interface Cost {
  /** Milliseconds of processor time. */
  readonly used: Used;
  readonly requests: number;
}

const endpoint = (name: (typeof SERVICES)[number]['name']): string => {
  const { vip, port } = SERVICES.find((each) => each.name === name)!;
  return `${vip.includes(':') ? `[${vip}]` : vip}:${port}`;
};

export const PLAIN: Target = { url: `http://${OWN_HOST}/v1/x`, address: endpoint('http') };
export const TLS: Target = { url: `https://${OWN_HOST}/v1/x`, address: endpoint('https') };
export const SHOP: Target = { url: `http://${SHOP_HOST}/v1/x`, address: endpoint('http') };

/** Each takes a third to a half of HAProxy's core. */
const CASES: readonly Case[] = [
  { name: 'plain, kept connections', target: PLAIN, load: { perSecond: 20_000 } },
  { name: 'plain, new connections', target: PLAIN, load: { perSecond: 4_000, fresh: true } },
  { name: 'TLS, kept connections', target: TLS, load: { perSecond: 15_000 } },
  { name: 'TLS, new connections', target: TLS, load: { perSecond: 1_000, fresh: true } },
];
const TO_SERVER: Case = { name: 'plain, to a server', target: SHOP, load: { perSecond: 5_000 } };

/** Requests that HAProxy answers by itself, with a redirect, in four cases; and those that a server answers. */
export async function measureWays(fleet: Fleet, turns: number, seconds: number): Promise<void> {
  const cases = [...CASES, TO_SERVER];
  // What is new to HAProxy and to the caches costs more than what they know.
  for (const each of cases) await costOf(fleet, each, seconds);
  const costs = new Map(cases.map((each) => [each, { straight: [] as Cost[], forwarder: [] as Cost[] }]));
  for (let turn = 0; turn < turns; turn++)
    for (const way of ordered(turn)) {
      await fleet.take(way);
      for (const each of cases) costs.get(each)![way].push(await costOf(fleet, each, seconds));
    }
  await fleet.take('forwarder');
  for (const [{ name }, { straight, forwarder }] of costs) {
    const rate = (costs: readonly Cost[]): number => median(costs.map(haproxyRate));
    const whole = (costs: readonly Cost[]): number => median(costs.map(hostRate));
    report({
      bench: `l7, ${name}: requests per CPU-second of HAProxy, over those without a forwarder`,
      value: median(forwarder.map((cost, turn) => haproxyRate(cost) / haproxyRate(straight[turn]!))),
      unit: 'x',
      target: RATIO_MIN,
      higherIsBetter: true,
      note: [
        `${grouped(rate(forwarder))}, ${grouped(rate(straight))} without`,
        `with what the host receives ${grouped(whole(forwarder))}, ${grouped(whole(straight))} without`,
        `${grouped(CLUSTER_PER_SECOND)} a second take ${cores(rate(forwarder))} cores, ${cores(whole(forwarder))} with that`,
      ].join('; '),
    });
  }
}

/** What a thousand routes cost, when requests are spread over them: some exact hosts and wildcards, by their share of the routes. */
export async function measureRoutes(fleet: Fleet, turns: number, seconds: number): Promise<void> {
  await fleet.take('straight');
  const us = { one: [] as number[], exact: [] as number[], wildcard: [] as number[] };
  const usOf = async (service: 'http6' | 'https6', host: string): Promise<number> => {
    const target = { url: `http://${host}/v1/x`, address: endpoint(service) };
    return (
      1e6 / haproxyRate(await costOf(fleet, { name: host, target, load: { perSecond: 15_000 } }, seconds))
    );
  };
  for (let turn = -1; turn < turns; turn++) {
    const steps = [
      async () => us.one.push(await usOf('http6', hostOfRoute(0))),
      async () => us.exact.push(await usOf('https6', hostOfRoute(exactRoute(turn / turns)))),
      async () => us.wildcard.push(await usOf('https6', hostOfRoute(wildcardRoute(turn / turns)))),
    ];
    for (const step of turn % 2 === 0 ? steps : steps.toReversed()) await step();
    if (turn < 0) for (const list of Object.values(us)) list.pop(); // not warm
  }
  await fleet.take('forwarder');
  const mixed = us.exact.map((exact, i) => exact * (1 - WILDCARD_SHARE) + us.wildcard[i]! * WILDCARD_SHARE);
  const shown = [us.one, us.exact, us.wildcard].map((list) => median(list).toFixed(1));
  report({
    bench: `l7, ${ROUTES} routes: requests per CPU-second lost, compared with one route`,
    value: Math.max(0, median(mixed.map((cost, i) => 1 - us.one[i]! / cost))) * 100,
    unit: '%',
    target: LOST_MAX,
    note: `one exact host ${shown[0]} us of HAProxy; ${ROUTES}: an exact host ${shown[1]}, a wildcard ${shown[2]}, which ${WILDCARD_SHARE * 100} % are`,
  });
}

async function costOf(fleet: Fleet, { target, load }: Case, seconds: number): Promise<Cost> {
  const before = fleet.used();
  const requests = await send(fleet.lab, target, { ...load, seconds });
  const after = fleet.used();
  const used = {
    haproxy: after.haproxy - before.haproxy,
    receiving: after.receiving - before.receiving,
  };
  return { used, requests };
}

const haproxyRate = ({ used, requests }: Cost): number => (requests * 1000) / used.haproxy;
const hostRate = ({ used, requests }: Cost): number => (requests * 1000) / (used.haproxy + used.receiving);

function cores(perCpuSecond: number): string {
  return grouped(CLUSTER_PER_SECOND / perCpuSecond);
}

/** The first way of a turn is the last of the one before. */
export function ordered(turn: number): readonly Way[] {
  return turn % 2 === 0 ? ['straight', 'forwarder'] : ['forwarder', 'straight'];
}

export function grouped(value: number): string {
  return Math.round(value).toLocaleString('en');
}
