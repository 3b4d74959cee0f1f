/**
 * Random lists of events for the simulator, what breaks in them, and the story of one in words. The laws that hold for
 * them are in laws.ts.
 */
import fc from 'fast-check';
import { backendName, eventText, nodeName, type SimEvent } from '#anyhop/sim/event.js';
import { possibleEvents } from '#anyhop/sim/random-events.js';
import { ANYHOP } from '#anyhop/sim/scheme.js';
import { type SimBreak, type SimOptions, simulate } from '#anyhop/sim/simulate.js';

export const SETTLE_MS = 8000;
export const SETTLE_SECONDS = SETTLE_MS / 1000;
const TICK_MS = 1000;

export interface Scenario {
  readonly seed: number;
  readonly backends: number;
  readonly nodes: number;
  readonly events: readonly SimEvent[];
  /** How long connections live at most: a settle time, for which the nodes remember them, when undefined. */
  readonly lifetimeMs?: number;
  /** SETTLE_MS when undefined. */
  readonly settleMs?: number;
  /** Ends with the last event, and not when all has settled. */
  readonly isCut?: true;
}

const BACKENDS_MAX = 6;
const NODES_MAX = 3;
export const backend = fc.nat(BACKENDS_MAX + 1).map(backendName);
const node = fc.nat(NODES_MAX - 1);
const weight = fc.integer({ min: 1, max: 4 });
const force = fc.boolean();

/** What operators do to the config. */
export const edit: fc.Arbitrary<SimEvent> = fc.oneof(
  fc.record({ kind: fc.constantFrom('drain', 'undrain', 'remove'), backend }),
  fc.record({ kind: fc.constantFrom('add', 'weight'), backend, weight }),
);
const forced: fc.Arbitrary<SimEvent> = fc.oneof(
  fc.record({ kind: fc.constantFrom('drain', 'undrain', 'remove'), backend, force }),
  fc.record({ kind: fc.constantFrom('add', 'weight'), backend, weight, force }),
);
export const health: fc.Arbitrary<SimEvent> = fc.record({ kind: fc.constantFrom('down', 'up'), backend });
const oneNodesHealth: fc.Arbitrary<SimEvent> = fc.record({
  kind: fc.constantFrom('down', 'up'),
  backend,
  node,
});
const machine: fc.Arbitrary<SimEvent> = fc.record({ kind: fc.constantFrom('crash', 'recover'), backend });

/** What happens to forwarders and to the router. */
export const path: fc.Arbitrary<SimEvent> = fc.oneof(
  fc.record({ kind: fc.constantFrom('lose', 'return', 'restart'), node }),
  fc.constant<SimEvent>({ kind: 'rehash' }),
);
const wait: fc.Arbitrary<SimEvent> = fc
  .integer({ min: 1, max: 2 * SETTLE_SECONDS })
  .map((seconds) => ({ kind: 'wait', seconds }));
export const anyEvent = fc.oneof(
  { weight: 3, arbitrary: forced },
  { weight: 3, arbitrary: health },
  { weight: 1, arbitrary: oneNodesHealth },
  { weight: 1, arbitrary: machine },
  { weight: 2, arbitrary: path },
  { weight: 4, arbitrary: wait },
);

/** Scenarios of `events`, without those that cannot happen. */
export function scenario(events: fc.Arbitrary<SimEvent[]>, backendsMin = 2): fc.Arbitrary<Scenario> {
  return fc
    .record({
      seed: fc.nat(),
      backends: fc.integer({ min: backendsMin, max: BACKENDS_MAX }),
      nodes: fc.integer({ min: 1, max: NODES_MAX }),
      events,
    })
    .map((found) => ({
      ...found,
      events: possibleEvents(found.events, { ...found, settleMs: SETTLE_MS }),
    }));
}

/** Events in any order and overlap. */
export const anyScenario = scenario(fc.array(anyEvent, { maxLength: 14, size: 'max' }));

export function optionsOf(of: Scenario): SimOptions {
  const { seed, backends, nodes, events, settleMs = SETTLE_MS, lifetimeMs = settleMs, isCut } = of;
  return {
    seed,
    backends,
    nodes,
    events: isCut ? events : [...events, { kind: 'settle' }],
    flows: 100,
    slots: 251,
    settleMs,
    lifetimeMs,
    tickMs: TICK_MS,
    schemes: [ANYHOP],
  };
}

/** Connections that anyhop breaks, in order. */
export function breaks(of: Scenario): SimBreak[] {
  const found: SimBreak[] = [];
  simulate({ ...optionsOf(of), onBreak: (event) => found.push(event) });
  return found;
}

/** How many connections got no answer for too long, though their machines live. */
export function silent(of: Scenario): number {
  return simulate(optionsOf(of)).rows.reduce((sum, { counts }) => sum + counts[ANYHOP.name].silent, 0);
}

/**
 * Whether DESIGN lets this connection break, which lived for a settle time at most: three changes or more came within the settle time
 * before, so that its slot may have had four owners, or nodes saw different pools in its lifetime.
 */
export function isExcused({ nowMs, changesAtMs, dividedAtMs }: SimBreak): boolean {
  const since = nowMs - SETTLE_MS;
  return changesAtMs.filter((atMs) => atMs >= since).length > 2 || dividedAtMs > since;
}

/** The events in words, and what broke. */
export function story(of: Scenario): string {
  const { seed, backends, nodes, events, lifetimeMs, settleMs = SETTLE_MS } = of;
  const names = Array.from({ length: backends }, (_, i) => backendName(i)).join(', ');
  const lines = [
    `seed ${seed}: ${names}; ${Array.from({ length: nodes }, (_, i) => nodeName(i)).join(', ')}`,
  ];
  const broken = breaks(of);
  for (const event of events) lines.push(`  ${eventText(event)}`);
  const counts = new Map<number, number>();
  for (const { nowMs } of broken) counts.set(nowMs, (counts.get(nowMs) ?? 0) + 1);
  for (const [at, count] of counts) lines.push(`  -> at ${at / 1000} s: ${count} of 100 connections broken`);
  const unheard = silent(of);
  if (unheard > 0) lines.push(`  -> ${unheard} connections without an answer`);
  const script = events.map(eventText).join(', ');
  const lifetime = lifetimeMs === undefined ? '' : ` --lifetime ${lifetimeMs / 1000}`;
  // Not the same connections: it has more of them, more slots and other moments, so what is rare may not show in it.
  lines.push(
    '  the same events for 10,000 connections and a table of the usual size, which may break others or none:',
    `  anyhop simulate --seed ${seed} --backends ${backends} --nodes ${nodes} --settle ${settleMs / 1000}${lifetime} --events '${script}'`,
  );
  return lines.join('\n');
}
