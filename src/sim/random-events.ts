/** Random lists of events, and the possible part of any list. */
import { backendName, type SimEvent } from './event.js';
import { Fleet, type FleetOptions } from './fleet.js';
import { Random } from './random.js';

/** `events` without those that cannot happen in their turn, such as draining a removed backend. */
export function possibleEvents(events: readonly SimEvent[], options: FleetOptions): SimEvent[] {
  const fleet = new Fleet(options, () => false);
  return events.filter((event) => {
    if (fleet.refusal(event) !== undefined) return false;
    fleet.apply(event, 0);
    return true;
  });
}

/**
 * `count` events with random waits, up to two settle times, so that they overlap. The seed determines the list. Impossible events
 * are left out, so it may be shorter.
 */
export function randomEvents(seed: number, count: number, options: FleetOptions): SimEvent[] {
  const random = new Random(seed, 2);
  const events: SimEvent[] = [];
  for (let i = 0; i < count; i++) {
    events.push(randomEvent(random, options));
    const seconds = random.of([0, 0.1, 0.3, 1, 2]) * (options.settleMs / 1000);
    if (seconds > 0) events.push({ kind: 'wait', seconds });
  }
  return possibleEvents(events, options);
}

function randomEvent(random: Random, { backends, nodes }: FleetOptions): SimEvent {
  const backend = backendName(random.below(backends));
  const node = random.below(nodes);
  const weight = 1 + random.below(3);
  return random.of<SimEvent>([
    { kind: 'drain', backend },
    { kind: 'undrain', backend },
    { kind: 'remove', backend },
    { kind: 'add', backend: backendName(backends + random.below(3)), weight },
    { kind: 'weight', backend, weight },
    { kind: 'down', backend },
    { kind: 'up', backend },
    { kind: 'down', backend, node },
    { kind: 'up', backend, node },
    { kind: 'lose', node },
    { kind: 'return', node },
    { kind: 'restart', node },
    { kind: 'rehash' },
  ]);
}
