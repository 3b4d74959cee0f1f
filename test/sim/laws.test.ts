/** The promises, for random pools, events and flows, all through the program's own tables and memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  story,
} from './scenario.js';

/** Runs `law` over scenarios; a failure is told as the shortest story for which it fails. */
function holds(of: fc.Arbitrary<Scenario>, numRuns: number, law: (scenario: Scenario) => boolean): void {
  const found = fc.check(fc.property(of, law), { numRuns });
  if (!found.failed) return;
  const [shortest] = found.counterexample!;
  assert.fail(`fast-check seed ${found.seed}, path ${found.counterexamplePath}\n${story(shortest)}`);
}

const settle: SimEvent = { kind: 'settle' };

test('no connection breaks when one planned change is made at a time, or a backend or forwarder comes or goes', () => {
  const single = fc.array(
    fc.oneof(edit, health, path).map((event) => [event, settle]),
    { minLength: 1, maxLength: 8 },
  );
  holds(scenario(single.map((pairs) => pairs.flat())), 200, (of) => breaks(of).length === 0);
});

test('no connection breaks when planned changes come in any order at any time, for they are queued', () => {
  const waits = fc.integer({ min: 1, max: 12 }).map((seconds): SimEvent => ({ kind: 'wait', seconds }));
  holds(
    scenario(fc.array(fc.oneof(edit, waits), { maxLength: 10, size: 'max' })),
    200,
    (of) => breaks(of).length === 0,
  );
});

const steady = fc.constantFrom<SimEvent>(
  { kind: 'rehash' },
  { kind: 'restart', node: 0 },
  { kind: 'wait', seconds: 1 },
);

test('no connection breaks on a health flap, on all nodes or on one, while the router hashes anew and nodes restart', () => {
  const flap = fc
    .tuple(
      fc.nat(5),
      fc.option(fc.nat(2), { nil: undefined }),
      fc.integer({ min: 1, max: 5 }),
      steady,
      steady,
      steady,
    )
    .map(([i, node, seconds, ...between]): SimEvent[] => {
      const marked = { backend: backendName(i), node };
      const [first, second, third] = between;
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
  holds(
    scenario(fc.array(flap, { maxLength: 3 }).map((list) => list.flat())),
    150,
    (of) => breaks(of).length === 0,
  );
});

test('in any order of events, nothing breaks but what two changes within a settle time or divided nodes can break', () => {
  holds(anyScenario, 600, (of) => breaks(of).every(isExcused));
});

test('three forwarders, hashed anew, restarted and lost at any time, break what one alone breaks: they remember nothing', () => {
  const changes = fc.constantFrom<SimEvent>(
    { kind: 'rehash' },
    { kind: 'restart', node: 1 },
    { kind: 'restart', node: 2 },
    { kind: 'lose', node: 0 },
    { kind: 'lose', node: 1 },
  );
  const pause = fc.constant<SimEvent>({ kind: 'wait', seconds: 3 });
  const three = scenario(fc.array(fc.oneof(edit, health, changes, pause), { maxLength: 12 })).map((of) => {
    const fleet = { ...of, nodes: 3 };
    return { ...fleet, events: possibleEvents(of.events, { ...fleet, settleMs: SETTLE_MS }) };
  });
  const told = (of: Scenario) => breaks(of).map(({ nowMs, flow }) => [nowMs, flow]);
  fc.assert(
    fc.property(three, (of) => {
      // With one next hop there is nothing to hash; the event keeps the packets of both fleets in step.
      const events = of.events.map((event): SimEvent => ('node' in event ? { kind: 'rehash' } : event));
      assert.deepEqual(told(of), told({ ...of, nodes: 1, events }));
    }),
    { numRuns: 150 },
  );
});

test('the same seed and events give the same report', () => {
  fc.assert(
    fc.property(anyScenario, (of) => {
      assert.deepEqual(simulate(optionsOf(of)), simulate(optionsOf(of)));
    }),
    { numRuns: 20 },
  );
});
