/**
 * The promises, as laws over random pools, events and connections, all through the program's own tables and memory. The
 * test suite holds a few hundred lists of events to each, `make soak` as many as it is told.
 */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { backendName, type SimEvent } from '#anyhop/sim/event.js';
import { possibleEvents } from '#anyhop/sim/random-events.js';
import { simulate } from '#anyhop/sim/simulate.js';
import {
  anyScenario,
  breaks,
  edit,
  health,
  isExcused,
  optionsOf,
  path,
  type Scenario,
  SETTLE_MS,
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

const single = fc.array(
  fc.oneof(edit, health, path).map((event) => [event, settle]),
  { minLength: 1, maxLength: 8 },
);

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

/** One drain that goes on for long, with connections that live for as long, and that is taken back in the end. */
const longDrain = fc
  .tuple(fc.nat(5), fc.array(fc.oneof(path, waits(16)), { maxLength: 6 }))
  .map(([i, between]): SimEvent[] => {
    const backend = backendName(i);
    return [{ kind: 'drain', backend }, ...between, settle, { kind: 'undrain', backend }, ...between, settle];
  });

const LONG_LIFETIME_MS = 10 * SETTLE_MS;
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
    id: 'single',
    name: 'no connection breaks when one planned change is made at a time, or a backend or forwarder comes or goes',
    of: scenario(single.map((pairs) => pairs.flat())),
    holds: breaksNothing,
    runs: 200,
  },
  {
    id: 'queued',
    name: 'no connection breaks when planned changes come in any order at any time, for they are queued',
    of: scenario(fc.array(fc.oneof(edit, waits(12)), { maxLength: 10, size: 'max' })),
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
