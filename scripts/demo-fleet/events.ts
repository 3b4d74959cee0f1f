/** What happens to the fleet, in order, and what must come of it. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { formatDuration } from '#anyhop/core/time.js';
import { backendAddresses } from '../lab/topology.js';
import type { Applied, DemoFleet } from './fleet.js';
import { POOL, type Size } from './machines.js';
import { makeOtherBuild } from './other-build.js';

export interface FleetEvent {
  readonly title: string;
  /** Resolves when it is over. @throws Error when something else came of it than should have */
  readonly run: (fleet: DemoFleet) => Promise<Outcome>;
}

export interface Outcome {
  /** In words. */
  readonly text: string;
  /** The revision that it has put in force. */
  readonly revision?: number;
  /** Whether slots have moved. */
  readonly moves: boolean;
  /** A forwarder whose tables are not to be the others'. */
  readonly but?: string;
}

const STORE_AWAY_MS = 10_000;
/** The forwarder that is started while the store is away. */
const RESTARTED = 1;

export function eventsFor({ forwarders, backends }: Size): FleetEvent[] {
  const [last, lastEdge] = [`web-${backends}`, `edge-${forwarders}`];
  // biome-ignore lint/suspicious/noExplicitAny: a config file as it is written
  const backendsOf = (config: any): any[] => config.pools[POOL].backends;
  const backend = (name: string) => (config: unknown) =>
    backendsOf(config).find((each) => each.name === name);
  return [
    {
      title: `${last} joins`,
      async run(fleet) {
        const address = backendAddresses(backends).host4;
        fleet.change((config) => backendsOf(config).push({ name: last, address, agent: true }));
        return inForce(await fleet.apply(`${last} joins`));
      },
    },
    {
      title: 'web-1 drains',
      run: async (fleet) => inForce(await fleet.drain('web-1', 'new disks')),
    },
    {
      title: 'rolled back to the revision before',
      run: async (fleet) => inForce(await fleet.rollback(2, 'web-1 stays')),
    },
    {
      title: `${lastEdge} runs another build, whose tables are others: a change is refused`,
      async run(fleet) {
        const other = makeOtherBuild(join(fleet.lab.resources.directory, 'other'));
        await fleet.restart(forwarders, { program: other, until: 'fleet_differs' });
        await fleet.untilAnnounced({ but: forwarders });
        fleet.change((config) => {
          backend('web-2')(config).weight = 2;
        });
        const said = await fleet.apply('web-2 has got more memory').then(
          () => 'it was taken',
          (error: Error) => error.message,
        );
        assert.match(said, new RegExp(`forwarder/${lastEdge}: its tables are others here`));
        return { text: `refused, and ${lastEdge} named and withdrawn`, moves: false, but: lastEdge };
      },
    },
    {
      title: `${lastEdge} is started again with the build of the others, and the same change`,
      async run(fleet) {
        await fleet.restart(forwarders);
        await fleet.untilAnnounced();
        await fleet.store.save();
        return inForce(await fleet.apply('web-2 has got more memory'));
      },
    },
    {
      title: `kill -9 of etcd, and edge-${RESTARTED} is started again without it`,
      async run(fleet) {
        const untilMs = Date.now() + STORE_AWAY_MS;
        await fleet.store.kill();
        await Promise.all([
          fleet.untilAllSay('fleet_store_away', { but: RESTARTED }),
          fleet.restart(RESTARTED),
        ]);
        await fleet.untilAnnounced();
        await delay(Math.max(0, untilMs - Date.now()));
        assert.deepEqual(await fleet.notReady(), []);
        return { text: 'all go on, and are ready', moves: false };
      },
    },
    {
      title: 'etcd comes back with an older snapshot',
      async run(fleet) {
        await fleet.store.restore();
        // The one that was started again does not know what the store had.
        const ms = await fleet.untilAllSay('fleet_store_went_back', { but: RESTARTED });
        return { text: `all others say so after ${formatDuration(Math.round(ms))}`, moves: false };
      },
    },
    {
      title: 'the change that it has forgotten is applied again',
      async run(fleet) {
        return { ...inForce(await fleet.apply('web-2 has got more memory')), moves: false };
      },
    },
    {
      title: 'flows are hashed with another secret, so most of them get another owner',
      // Every slot stays with its owner; the flows change slots.
      run: async (fleet) => ({ ...inForce(await fleet.rotateKey('yearly')), moves: false }),
    },
  ];
}

export function inForce({ revision, members, prepareMs, waitMs, switchMs, late }: Applied): Outcome {
  assert.deepEqual(late, []);
  const times = [
    `prepared in ${Math.round(prepareMs)} ms`,
    ...(waitMs > 500 ? [`waited ${Math.round(waitMs)} ms`] : []),
    `switched in ${Math.round(switchMs)} ms`,
  ];
  const text = `revision ${revision.number} on ${members} members: ${times.join(', ')}`;
  return { text, revision: revision.number, moves: true };
}
