/**
 * The promises, as laws over random pools, events and connections, all through the program's own tables and memory. The
 * test suite holds a few hundred lists of events to each, `make soak` as many as it is told.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { backendName, type SimEvent } from '#anyhop/sim/event.js';
import { SILENCE_MS } from '#anyhop/sim/flows.js';
import { possibleEvents } from '#anyhop/sim/random-events.js';
import { simulate } from '#anyhop/sim/simulate.js';
import {
  anyScenario,
  backend,
  breaks,
  edit,
  health,
  isExcused,
  optionsOf,
  path,
  type Scenario,
  SETTLE_MS,
  SETTLE_SECONDS,
  scenario,
  silent,
  story,
} from './scenario.js';

export interface Law {
  /** Short, to name it by on a command line. */
  readonly id: string;
  /** A sentence. */
  readonly name: string;
  readonly of: fc.Arbitrary<Scenario>;
  readonly holds: (scenario: Scenario) => boolean;
  /** Scenarios in the test suite, and the law's share of a soak beside the others. */
  readonly runs: number;
}

const settle: SimEvent = { kind: 'settle' };
const breaksNothing = (of: Scenario): boolean => breaks(of).length === 0;
const waits = (max: number): fc.Arbitrary<SimEvent> =>
  fc.integer({ min: 1, max }).map((seconds) => ({ kind: 'wait', seconds }));

const steady = fc.constantFrom<SimEvent>(
  { kind: 'rehash' },
  { kind: 'restart', node: 0 },
  { kind: 'wait', seconds: 1 },
);
const flap = fc
  .tuple(
    fc.nat(5),
    fc.option(fc.nat(2), { nil: undefined }),
    fc.integer({ min: 1, max: 5 }),
    steady,
    steady,
    steady,
  )
  .map(([i, node, seconds, first, second, third]): SimEvent[] => {
    const marked = { backend: backendName(i), node };
    return [
      { kind: 'down', ...marked },
      first,
      { kind: 'wait', seconds },
      second,
      { kind: 'up', ...marked },
      third,
      settle,
    ];
  });

/** One change, too. */
const wholeFlap = waits(3).chain((wait) => backend.map((name) => around(wait, 'down', 'up', name)));
/** That the nodes see a second later. */
const crash = backend.map((name) => around({ kind: 'wait', seconds: 1 }, 'crash', 'down', name));
/** One change, planned or of health. */
const change: fc.Arbitrary<SimEvent[]> = fc.oneof(
  { weight: 3, arbitrary: edit.map((event) => [event]) },
  { weight: 1, arbitrary: health.map((event) => [event]) },
  { weight: 1, arbitrary: wholeFlap },
  { weight: 1, arbitrary: crash },
);

function around(wait: SimEvent, before: 'down' | 'crash', after: 'up' | 'down', backend: string): SimEvent[] {
  return [{ kind: before, backend }, wait, { kind: after, backend }];
}

/** Of forwarders, none comes back: it would not know what the others have seen. */
const leaving = path.filter(({ kind }) => kind !== 'return');
/** One stays, or nobody has an answer. */
const leavingOthers = leaving.filter((event) => event.kind !== 'lose' || event.node > 0);
const between = fc.array(fc.oneof(leaving, waits(3)), { maxLength: 3 });

/** Two changes that overlap, and what happens to forwarders before, between and after. One comes back when all has settled. */
const pairs = fc
  .array(fc.tuple(path, between, change, between, change, between), { minLength: 1, maxLength: 2 })
  .map((list) => list.flatMap(([first, ...events]) => [first, settle, ...events.flat(), settle]));

/** A crash beside another change, after it or before. */
const crashBeside = fc
  .tuple(
    fc.shuffledSubarray([0, 1], { minLength: 2 }),
    fc.oneof(
      edit.map((event) => [event]),
      crash,
      wholeFlap,
    ),
    crash,
    fc.array(fc.oneof(leavingOthers, waits(3)), { maxLength: 3 }),
  )
  // A machine that has crashed does not pass its checks again.
  .filter(
    ([, [one], [other]]) => !('backend' in one! && 'backend' in other! && one.backend === other.backend),
  )
  .map(([order, first, second, between]): SimEvent[] => {
    const changes = [first, second];
    return [...changes[order[0]!]!, ...between, ...changes[order[1]!]!, settle];
  });

/** Ends while the change still settles: then connections that live for longer break, by design. */
const shortly = fc.array(fc.oneof(leaving, waits(2)), { maxLength: 2 });

/** A drain that is older than the settle time and has connections, and one more change. */
const besideOldDrain = fc
  .tuple(backend, waits(2 * SETTLE_SECONDS), between, change, shortly)
  .map(([name, wait, ...events]): SimEvent[] => [
    { kind: 'drain', backend: name },
    { kind: 'wait', seconds: SETTLE_SECONDS },
    wait,
    ...events.flat(),
  ]);

/** One drain that goes on for long, with connections that live for as long, and that is taken back in the end. */
const longDrain = fc
  .tuple(fc.nat(5), fc.array(fc.oneof(path, waits(16)), { maxLength: 6 }))
  .map(([i, between]): SimEvent[] => {
    const backend = backendName(i);
    return [{ kind: 'drain', backend }, ...between, settle, { kind: 'undrain', backend }, ...between, settle];
  });

const LONG_LIFETIME_MS = 10 * SETTLE_MS;
/** Where fewer are left, all may be down, and then marks do not count. */
const CRASH_BACKENDS_MIN = 4;
/** Longer than a connection has to be without an answer to count. */
const CRASH_SETTLE_MS = 2 * SILENCE_MS;
const isAnswered = (of: Scenario): boolean => silent(of) === 0;
const names = [0, 1, 2, 3, 4, 5].map(backendName);
/** All but one are drawn often: that one may drain. */
const some = fc.oneof(
  fc.subarray(names, { minLength: 1 }),
  fc.constantFrom(...names).map((last) => names.filter((name) => name !== last)),
);
const drainOf = (backend: fc.Arbitrary<string>): fc.Arbitrary<SimEvent> =>
  fc.record({ kind: fc.constantFrom('drain', 'undrain'), backend });

/** Marks of many backends at once. One stays active: where all that is down also drains, nobody owns. */
const marks = fc.array(
  fc.oneof(
    fc
      .tuple(fc.constantFrom('down', 'up'), some)
      .map(([kind, marked]) => marked.map((backend): SimEvent => ({ kind, backend }))),
    drainOf(fc.integer({ min: 1, max: 5 }).map(backendName)).map((event) => [event]),
    fc.oneof(steady, waits(16)).map((event) => [event]),
  ),
  { maxLength: 10 },
);

/** Machines that die or come back, many at once, and that every node is told of at once. */
const machines = fc
  .array(
    fc.oneof(
      some.map((dead) =>
        dead.flatMap((backend): SimEvent[] => [
          { kind: 'crash', backend },
          { kind: 'down', backend },
        ]),
      ),
      some.map((back) =>
        back.flatMap((backend): SimEvent[] => [
          { kind: 'recover', backend },
          { kind: 'up', backend },
        ]),
      ),
      drainOf(fc.nat(5).map(backendName)).map((event) => [event]),
    ),
    { maxLength: 6 },
  )
  .map((steps) => steps.map((events): SimEvent[] => [...events, settle, { kind: 'wait', seconds: 16 }]));

const threeForwarders = scenario(
  fc.array(
    fc.oneof(
      edit,
      health,
      fc.constantFrom<SimEvent>(
        { kind: 'rehash' },
        { kind: 'restart', node: 1 },
        { kind: 'restart', node: 2 },
        { kind: 'lose', node: 0 },
        { kind: 'lose', node: 1 },
      ),
      fc.constant<SimEvent>({ kind: 'wait', seconds: 3 }),
    ),
    { maxLength: 12 },
  ),
).map((of) => {
  const fleet = { ...of, nodes: 3 };
  return { ...fleet, events: possibleEvents(of.events, { ...fleet, settleMs: SETTLE_MS }) };
});

/** The same with one forwarder. With one next hop there is nothing to hash; the event keeps both fleets' packets in step. */
function withOneForwarder(of: Scenario): Scenario {
  const events = of.events.map((event): SimEvent => ('node' in event ? { kind: 'rehash' } : event));
  return { ...of, nodes: 1, events };
}

const brokenAt = (of: Scenario) => breaks(of).map(({ nowMs, flow }) => [nowMs, flow]);

export const LAWS: readonly Law[] = [
  {
    id: 'pair',
    name: 'no connection breaks on two changes that overlap, planned or of health, while nodes restart or go',
    of: scenario(pairs),
    holds: breaksNothing,
    runs: 400,
  },
  {
    id: 'crash',
    name: 'no connection of a live machine breaks or goes without an answer on a crash that overlaps with another change',
    of: scenario(crashBeside, CRASH_BACKENDS_MIN).map((of) => ({ ...of, settleMs: CRASH_SETTLE_MS })),
    holds: (of) => breaksNothing(of) && isAnswered(of),
    runs: 200,
  },
  {
    id: 'old-drain',
    name: 'no connection breaks on one change beside a drain that goes on, however old it is',
    of: scenario(besideOldDrain).map((of) => ({ ...of, lifetimeMs: LONG_LIFETIME_MS, isCut: true })),
    holds: breaksNothing,
    runs: 200,
  },
  {
    id: 'queued',
    name: 'no connection breaks when planned changes come in any order at any time, for they are queued',
    of: scenario(fc.array(fc.oneof(edit, edit, waits(12), leaving), { maxLength: 12, size: 'max' })),
    holds: breaksNothing,
    runs: 200,
  },
  {
    id: 'flap',
    name: 'no connection breaks on a health flap, on all nodes or on one, while the router hashes anew and nodes restart',
    of: scenario(fc.array(flap, { maxLength: 3 }).map((list) => list.flat())),
    holds: breaksNothing,
    runs: 150,
  },
  {
    id: 'drain',
    name: 'no connection breaks on a draining backend, or when the drain is taken back, however long it lives',
    of: scenario(longDrain).map((of) => ({ ...of, lifetimeMs: LONG_LIFETIME_MS })),
    holds: breaksNothing,
    runs: 100,
  },
  {
    id: 'marks',
    name: 'no connection goes without an answer while machines live, whatever the health marks say, all down among them',
    of: scenario(marks.map((list) => list.flat())).map((of) => ({ ...of, lifetimeMs: LONG_LIFETIME_MS })),
    holds: isAnswered,
    runs: 100,
  },
  {
    id: 'machines',
    name: 'no connection goes without an answer while dead machines are marked down, a draining one the last among them',
    of: scenario(machines.map((list) => list.flat())).map((of) => ({ ...of, lifetimeMs: LONG_LIFETIME_MS })),
    holds: isAnswered,
    runs: 200,
  },
  {
    id: 'any',
    name: 'in any order of events, nothing breaks unless three changes come within a settle time, or divide the nodes',
    of: anyScenario,
    holds: (of) => breaks(of).every(isExcused),
    runs: 400,
  },
  {
    id: 'forwarders',
    name: 'three forwarders, hashed anew, restarted and lost at any time, break what one alone breaks: they remember nothing',
    of: threeForwarders,
    holds: (of) => isDeepStrictEqual(brokenAt(of), brokenAt(withOneForwarder(of))),
    runs: 150,
  },
  {
    id: 'same',
    name: 'the same seed and events give the same report',
    of: anyScenario,
    holds: (of) => isDeepStrictEqual(simulate(optionsOf(of)), simulate(optionsOf(of))),
    runs: 20,
  },
];

export interface Check {
  readonly runs: number;
  readonly seed: number;
  /** Where fast-check found a failure before, to see that one alone. */
  readonly path?: string | undefined;
}

/** Undefined when the law holds, else the shortest story for which it does not and the command that shows it again. */
export function failureOf({ id, name, of, holds }: Law, { runs, seed, path }: Check): string | undefined {
  const replayed = path === undefined ? {} : { path };
  const found = fc.check(fc.property(of, holds), {
    numRuns: path === undefined ? runs : 1,
    seed,
    ...replayed,
  });
  if (!found.failed) return undefined;
  const again = `ANYHOP_SEED=${seed} SOAK_LAW=${id} SOAK_PATH=${found.counterexamplePath} node build/test/sim/soak.js`;
  const [shortest] = found.counterexample ?? [];
  const told = shortest === undefined ? String(found.errorInstance) : story(shortest);
  return `does not hold: ${name}\n${told}\n  again:\n  ${again}`;
}
