/** What happens to the fleet, in order, and what the router's table is to make of each event. */
import { VIP4, VIP6 } from '../lab/topology.js';
import type { Expected } from './fib-time.js';
import type { HaFleet } from './fleet.js';
import { GATEWAYS, PAIR } from './machines.js';

export interface HaEvent {
  readonly title: string;
  readonly expected: Expected;
  /** What begins in the moment that counts as the event's; it may go on while the router's table is waited for. */
  readonly run: (fleet: HaFleet) => Promise<void>;
  /** What follows when the router's table is as expected, before the next event. */
  readonly afterwards?: (fleet: HaFleet) => Promise<void>;
  /** How long to look on in the end. */
  readonly watchMs: number;
}

/** Of those after which a row must stay: longer than a daemon takes to withdraw it. */
const STAYS_MS = 2_500;
const GLANCE_MS = 1_000;

const [FIRST, SECOND] = PAIR;
const THIRD = 3;
const edge = (number: number): string => `edge-${number}`;

const without = (forwarder: number): Expected => ({
  kind: 'without',
  destinations: [VIP4, VIP6],
  hop: edge(forwarder),
});
const through = (forwarder: number): Expected => ({
  kind: 'with',
  destinations: [VIP4, VIP6],
  hop: edge(forwarder),
});
const gateway = (forwarder: number): Expected => ({
  kind: 'only',
  destinations: [GATEWAYS[4], GATEWAYS[6]],
  hop: edge(forwarder),
});
const stays: Expected = { kind: 'stays', destinations: [VIP4, VIP6] };

export const EVENTS: readonly HaEvent[] = [
  ...leavesAndReturns(THIRD, 'leaves', without(THIRD), through(THIRD)),
  {
    title: `kill -9 of anyhop run and announce on ${edge(SECOND)}`,
    expected: stays,
    watchMs: STAYS_MS,
    async run(fleet) {
      await Promise.all([fleet.kill(SECOND, 'node'), fleet.kill(SECOND, 'announcer')]);
    },
  },
  {
    title: `both are started again`,
    expected: stays,
    watchMs: STAYS_MS,
    async run(fleet) {
      await Promise.all([fleet.startNode(SECOND), fleet.startAnnouncer(SECOND)]);
    },
  },
  {
    title: `kill -9 of BIRD on ${edge(FIRST)}`,
    expected: without(FIRST),
    watchMs: GLANCE_MS,
    run: (fleet) => fleet.kill(FIRST, 'bird'),
  },
  {
    title: `BIRD is started again`,
    expected: through(FIRST),
    watchMs: GLANCE_MS,
    run: (fleet) => fleet.startBird(FIRST),
  },
  {
    title: `BIRD on ${edge(SECOND)} hangs (SIGSTOP)`,
    expected: without(SECOND),
    watchMs: GLANCE_MS,
    run: async (fleet) => fleet.signalBird(SECOND, 'SIGSTOP'),
  },
  {
    title: 'it goes on',
    expected: through(SECOND),
    watchMs: GLANCE_MS,
    run: async (fleet) => fleet.signalBird(SECOND, 'SIGCONT'),
  },
  {
    title: `the interface of ${edge(THIRD)} goes down`,
    expected: without(THIRD),
    watchMs: GLANCE_MS,
    run: (fleet) => fleet.setLink(THIRD, 'down'),
  },
  {
    title: 'it comes up again',
    expected: through(THIRD),
    watchMs: GLANCE_MS,
    run: (fleet) => fleet.setLink(THIRD, 'up'),
  },
  {
    title: 'all backends of the pool fail their checks',
    expected: stays,
    watchMs: STAYS_MS,
    run: (fleet) => fleet.toggleHealth(),
  },
  {
    title: 'they pass them again',
    expected: stays,
    watchMs: GLANCE_MS,
    run: (fleet) => fleet.toggleHealth(),
  },
  ...leavesAndReturns(FIRST, 'leaves, which is the active one of the pair', gateway(SECOND), gateway(FIRST)),
  {
    title: `kill -9 of keepalived on ${edge(FIRST)}`,
    expected: gateway(SECOND),
    watchMs: GLANCE_MS,
    run: (fleet) => fleet.kill(FIRST, 'keepalived'),
  },
];

/** A node is told to stop, drains, ends and is taken off; then it is started again. */
function leavesAndReturns(forwarder: number, what: string, gone: Expected, back: Expected): HaEvent[] {
  let ended: Promise<void> | undefined;
  return [
    {
      title: `${edge(forwarder)} ${what}`,
      expected: gone,
      watchMs: GLANCE_MS,
      async run(fleet) {
        ended = fleet.stopNode(forwarder);
        ended.catch(() => {}); // it is awaited below
      },
      async afterwards(fleet) {
        await ended;
        await fleet.stopForwarding(forwarder);
      },
    },
    {
      title: `${edge(forwarder)} comes back`,
      expected: back,
      watchMs: GLANCE_MS,
      run: (fleet) => fleet.startNode(forwarder),
    },
  ];
}
