/**
 * What happens to the fleet, in order. All of it is what promise 3 of the design covers: any two changes that overlap, planned or of
 * health, beside what happens to forwarders, agents and the router. What overlaps here:
 *
 *   a drain, fresh or old, with   an addition, another drain, a flap of another backend, a crash
 *   a weight with                 a removal; a third change waits meanwhile
 *
 * The order keeps to what a pool remembers:
 *
 *  - Two drains of backends with connections are open for as long as they last, so to end one of them is a third change. It is forced,
 *    for it breaks nothing: the backend owns its slots again, and its stand-ins are what is remembered.
 *  - An addition, a removal and a weight are remembered for a settle time. A connection that is older than that and has been
 *    away from its slot's owner for longer would break, by design. So they are taken back by a change that is asked for at once, and
 *    queued. It comes into force in the moment in which the first has settled.
 *  - A health mark that stays is forgotten as well. So a flap is shorter than a settle time.
 *
 * Short connections live for 2 s at most, less than a settle time. The held ones are all older than the first event.
 */
import {
  beside,
  comeBack,
  crash,
  divide,
  flap,
  kill,
  loss,
  planned,
  reorder,
  restartAgent,
  type SurviveEvent,
  settled,
  takenBack,
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
  const say = (what: 'drain' | 'undrain', backend: string, force = false) =>
    planned(`${what} ${backend}${force ? ', forced' : ''}`, (fleet) =>
      fleet.tell(`/${what}`, { backend, force }),
    );
  const list = (title: string, numbers: readonly number[], weights?: Readonly<Record<number, number>>) =>
    planned(title, (fleet) => fleet.reload(numbers, weights));
  const killOf = (forwarder: number) => kill(forwarder, engines[forwarder - 1]!);
  const kills = [killOf(1), killOf(3)];
  const joins = takenBack(list('add web-6', [1, 2, 3, 4, 5, 6]), list('remove web-6', [1, 2, 3, 4, 5]));
  const weightAndRemoval = planned('set the weight of web-3 to 3, and remove web-1', async (fleet) => [
    ...(await fleet.reload([1, 2, 3, 4, 5], { 3: 3 })),
    ...(await fleet.reload([2, 3, 4, 5], { 3: 3 })),
  ]);
  const drainAndAdd = [say('drain', 'web-2'), ...beside('web-2 drains', joins)];
  const drainAndFlap = beside('web-2 drains', flap(4, settleMs));
  const drainAndCrash = [say('drain', 'web-1'), ...beside('web-1 drains', [crash(5)])];
  if (form === 'short')
    return [...drainAndAdd, ...kills, ...drainAndFlap, settled(say('undrain', 'web-2')), ...drainAndCrash];
  return [
    ...drainAndAdd,
    restartAgent(3),
    ...beside('web-2 drains', [say('drain', 'web-3')]),
    ...beside('web-2 and web-3 drain', [...kills, ...loss(2), upgrade(nextBuild)]),
    settled(say('undrain', 'web-3', true)),
    ...drainAndFlap,
    settled(say('undrain', 'web-2')),
    ...takenBack(weightAndRemoval, list('take both back', [1, 2, 3, 4, 5])),
    reorder([5, 4, 3, 2, 1]),
    say('drain', 'web-3'),
    ...beside('web-3 drains', flap(1, settleMs)),
    settled(say('undrain', 'web-3')),
    ...divide(1, settleMs),
    ...drainAndCrash,
    ...beside('web-1 drains', [comeBack(5)]),
    say('undrain', 'web-1'),
  ];
}
