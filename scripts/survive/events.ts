/**
 * What happens to the fleet, in order. All of it is what promise 3 of the design covers, and the order keeps to what one
 * alternate a slot can do (the head of src/pool/change.ts):
 *
 *  - Planned changes come one at a time; the nodes see to it, for a second one waits until the first has settled.
 *  - A drain is remembered for as long as it lasts, and no other change moves the slot. So forwarders are killed, lost and
 *    upgraded while web-2 drains, for its connections live on their second chance alone all that time; and no other backend
 *    comes, goes, fails or changes. A flap of web-4 then broke 59 of web-2's 219 connections, an addition 81, a weight 121.
 *  - An addition, a removal and a weight are remembered for a settle time. A connection that is older than that and has been
 *    away from its slot's owner for longer would break, by design. So each of them is taken back by a change that is queued at
 *    once, and comes into force in the moment in which the first has settled. What waits and what settles outlives a
 *    forwarder's process, so one is killed meanwhile.
 *  - A health mark that is taken back within a settle time leaves no trace; one that stays is forgotten as above. So a flap is
 *    shorter.
 *
 * Short connections live for 2 s at most, less than a settle time. The held ones are all older than the first event.
 */
import {
  comeBack,
  crash,
  divide,
  flap,
  kill,
  loss,
  pair,
  planned,
  reorder,
  restartAgent,
  type SurviveEvent,
  upgrade,
} from './acts.js';
import type { NextBuild } from './next-build.js';

export interface EventsOptions {
  readonly form: 'full' | 'short';
  /** What to upgrade to. */
  readonly nextBuild: NextBuild;
  /** Of the forwarders, in order. */
  readonly engines: readonly string[];
  /** Of the pool. */
  readonly settleMs: number;
}

export function eventsOf({ form, nextBuild, engines, settleMs }: EventsOptions): SurviveEvent[] {
  const drain = planned('drain web-2', (fleet) => fleet.tell('/drain', { backend: 'web-2' }));
  const undrain = planned('undrain web-2', (fleet) => fleet.tell('/undrain', { backend: 'web-2' }));
  const killOf = (forwarder: number) => kill(forwarder, engines[forwarder - 1]!);
  const kills = [killOf(1), killOf(3)];
  const weigh = (weight: number) =>
    planned(`set the weight of web-3 to ${weight}`, (fleet) =>
      fleet.tell('/weight', { backend: 'web-3', weight }),
    );
  const list = (title: string, numbers: readonly number[]) =>
    planned(title, (fleet) => fleet.reload(numbers));
  const joins = pair(list('add web-6', [1, 2, 3, 4, 5, 6]), list('remove web-6', [1, 2, 3, 4, 5]));
  if (form === 'short') return [drain, ...kills, undrain, ...joins, ...flap(4, settleMs), crash(5)];
  return [
    drain,
    restartAgent(3),
    ...kills,
    ...loss(2),
    upgrade(nextBuild),
    undrain,
    ...joins,
    ...pair(weigh(3), weigh(1), killOf(2)),
    ...pair(list('remove web-1', [2, 3, 4, 5]), list('add web-1 again', [1, 2, 3, 4, 5]), killOf(1)),
    reorder([5, 4, 3, 2, 1]),
    ...flap(4, settleMs),
    ...divide(1, settleMs),
    crash(5),
    comeBack(5),
  ];
}
