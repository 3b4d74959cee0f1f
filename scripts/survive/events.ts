/**
 * What happens to the fleet, in order. All of it is what promise 3 of the design covers, and the order keeps to what one
 * alternate a slot can do (the head of src/pool/change.ts):
 *
 *  - Planned changes come one at a time; the nodes see to it, for a second one waits until the first has settled.
 *  - A drain is remembered for as long as it lasts. So forwarders are killed, lost and upgraded while web-2 drains: all that
 *    time its connections live on the second chance alone.
 *  - An addition, a removal and a weight are remembered for a settle time. A connection that is older than that and has been
 *    away from its slot's owner for longer would break, by design. So each of them is taken back by a change that is queued at
 *    once, and comes into force in the moment in which the first has settled.
 *  - A health mark that is taken back within a settle time leaves no trace; one that stays is forgotten as above. So a flap is
 *    shorter, and there is none while a backend drains: what is born during such a flap is at risk at its end.
 *
 * Short connections live for 2 s at most, less than a settle time.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ChangeReport } from '#anyhop/control/api.js';
import { type Fleet, FORWARDERS } from './fleet.js';
import { startServer, toggleHealth } from './traffic.js';

export interface SurviveEvent {
  readonly title: string;
  /** What comes before the moment that counts as the event's. */
  readonly prepare?: (fleet: Fleet) => Promise<void>;
  readonly run: (fleet: Fleet) => Promise<void>;
  /** Whose connections are at risk besides those that the event sends another way. */
  readonly touches?: { readonly forwarders?: readonly string[]; readonly backend?: string };
  /** The backend that takes its connections along. */
  readonly crashes?: string;
  /** How long to look on before the next event. */
  readonly watchMs: number;
}

/** Longer than the router's witness looks back, so that it has the new ways alone. */
const WATCH_MS = 1_500;
/** Where time is short because a flap must be over, or has passed already because a change had to settle. */
const GLANCE_MS = 500;
/** How long the router goes on sending packets to a forwarder that is gone. */
const NOTICE_MS = 500;
const BEFORE_DUE_MS = 200;
const ALL = Array.from({ length: FORWARDERS }, (_, i) => `edge-${i + 1}`);

/**
 * @param nextBuild what to upgrade to: path of its program, and its version
 * @param engines of the forwarders, in order
 */
export function eventsOf(
  form: 'full' | 'short',
  nextBuild: { program: string; version: string },
  engines: readonly string[],
): SurviveEvent[] {
  const kill = (index: number): SurviveEvent => killed(index, engines[index]!);
  const drain = planned('drain web-2', '/drain', { backend: 'web-2' });
  const undrain = planned('undrain web-2', '/undrain', { backend: 'web-2' });
  const addition = pair(
    ['add web-6', (fleet) => fleet.reload((all) => all)],
    ['remove web-6', (fleet) => fleet.reload((all) => all.slice(0, -1))],
  );
  if (form === 'short')
    return [drain, kill(0), kill(2), undrain, ...addition, ...flap('web-4', 3), crash('web-5', 4)];
  return [
    drain,
    restartAgent('web-3', 2),
    kill(0),
    kill(2),
    ...loss(1),
    upgrade(nextBuild),
    undrain,
    ...addition,
    ...pair(
      ['weight of web-3 from 1 to 3', (fleet) => fleet.tell('/weight', { backend: 'web-3', weight: 3 })],
      ['weight of web-3 back to 1', (fleet) => fleet.tell('/weight', { backend: 'web-3', weight: 1 })],
    ),
    ...pair(
      ['remove web-1', (fleet) => fleet.reload((all) => all.slice(1, -1))],
      ['add web-1 again', (fleet) => fleet.reload((all) => all.slice(0, -1))],
    ),
    reorder(),
    ...flap('web-4', 3),
    ...divide('web-1', 0),
    crash('web-5', 4),
    comeBack('web-5', 4),
  ];
}

type Change = (fleet: Fleet) => Promise<ChangeReport[]>;

function planned(title: string, path: string, body: object): SurviveEvent {
  return {
    title,
    watchMs: GLANCE_MS,
    async run(fleet) {
      require('in_force', title, await fleet.tell(path, body));
      await fleet.untilSettled();
    },
  };
}

/** A change, and the one that takes it back. */
function pair(
  [firstTitle, first]: [string, Change],
  [secondTitle, second]: [string, Change],
): SurviveEvent[] {
  return [
    {
      title: firstTitle,
      watchMs: GLANCE_MS,
      async run(fleet) {
        require('in_force', firstTitle, await first(fleet));
        require('queued', secondTitle, await second(fleet));
      },
    },
    {
      title: secondTitle,
      watchMs: GLANCE_MS,
      async prepare(fleet) {
        const leftMs = Math.min(...(await queuedUntil(fleet))) - BEFORE_DUE_MS - Date.now();
        if (leftMs > 0 && leftMs < Number.POSITIVE_INFINITY) await delay(leftMs);
      },
      run: (fleet) => fleet.untilSettled(),
    },
  ];
}

/** When the waiting changes of all nodes come into force; none of a node that was faster. */
async function queuedUntil(fleet: Fleet): Promise<number[]> {
  const statuses = [...(await fleet.statuses()).values()];
  return statuses.flatMap(({ pools }) =>
    pools.flatMap(({ change }) => change.queued.map(({ dueAt }) => Date.parse(dueAt))),
  );
}

function require(effect: 'in_force' | 'queued' | 'unchanged', title: string, reports: ChangeReport[]): void {
  const other = reports.flatMap(({ pools }) => pools).find((pool) => pool.effect !== effect);
  if (other !== undefined) throw new Error(`${title}: ${other.effect}, expected ${effect}`);
}

function reorder(): SurviveEvent {
  return {
    title: 'reload with the backends in another order',
    touches: { forwarders: ALL },
    watchMs: WATCH_MS,
    async run(fleet) {
      const reports = await fleet.reload((all) => all.slice(0, -1).toReversed());
      require('unchanged', 'another order', reports);
    },
  };
}

function flap(backend: string, index: number): SurviveEvent[] {
  return [
    {
      title: `${backend} fails its checks`,
      watchMs: GLANCE_MS,
      async run(fleet) {
        await toggleHealth(fleet.servers[index]!, 2);
        await fleet.untilHealth(backend, 'down');
      },
    },
    {
      title: `${backend} passes them again`,
      watchMs: WATCH_MS,
      async run(fleet) {
        await toggleHealth(fleet.servers[index]!, 3);
        await fleet.untilHealth(backend, 'up');
      },
    },
  ];
}

/** One forwarder sees a backend down that the others see up, while connections change from forwarder to forwarder. */
function divide(backend: string, forwarder: number): SurviveEvent[] {
  const [index, name] = [Number(backend.split('-')[1]) - 1, ALL[forwarder]!];
  const order = ALL.map((_, i) => i);
  return [
    {
      title: `${name} alone sees ${backend} down; the router rehashes`,
      watchMs: WATCH_MS,
      async run(fleet) {
        await fleet.hideBackend(forwarder, index, true);
        await fleet.untilHealth(backend, 'down', name);
        await fleet.lab.routeTo([...order.slice(1), order[0]!]);
      },
    },
    {
      title: `${name} sees ${backend} up; the router rehashes`,
      watchMs: WATCH_MS,
      async run(fleet) {
        await fleet.hideBackend(forwarder, index, false);
        await fleet.untilHealth(backend, 'up', name);
        await fleet.lab.routeTo(order);
      },
    },
  ];
}

function killed(index: number, engine: string): SurviveEvent {
  const name = ALL[index]!;
  return {
    title: `kill -9 of ${name} (${engine}), and its restart`,
    touches: { forwarders: [name] },
    watchMs: WATCH_MS,
    async run(fleet) {
      await fleet.killNode(index);
      await fleet.startNode(index);
    },
  };
}

function loss(index: number): SurviveEvent[] {
  const name = ALL[index]!;
  return [
    {
      title: `loss of ${name}`,
      touches: { forwarders: [name] },
      watchMs: WATCH_MS,
      async run(fleet) {
        await fleet.killNode(index);
        await fleet.lab.stopForwarding(index);
        await delay(NOTICE_MS);
        await fleet.lab.routeTo(ALL.map((_, i) => i).filter((i) => i !== index));
      },
    },
    {
      title: `return of ${name}`,
      watchMs: WATCH_MS,
      async run(fleet) {
        await fleet.startNode(index);
        await fleet.lab.routeTo(ALL.map((_, i) => i));
      },
    },
  ];
}

/** Rolling, as a fleet is upgraded. */
function upgrade({ program, version }: { program: string; version: string }): SurviveEvent {
  return {
    title: `upgrade of all forwarders to ${version}`,
    touches: { forwarders: ALL },
    watchMs: WATCH_MS,
    async run(fleet) {
      for (const index of ALL.keys()) {
        await fleet.endNode(index);
        await fleet.startNode(index, program);
      }
      await fleet.until(`of version ${version}`, (status) => status.version === version);
    },
  };
}

function restartAgent(backend: string, index: number): SurviveEvent {
  return {
    title: `restart of the agent of ${backend}`,
    touches: { backend },
    watchMs: WATCH_MS,
    async run(fleet) {
      await fleet.agents[index]!.stop();
      fleet.agents[index] = await fleet.lab.startAgent(index);
    },
  };
}

function crash(backend: string, index: number): SurviveEvent {
  return {
    title: `crash of ${backend}`,
    touches: { backend },
    watchMs: WATCH_MS,
    crashes: backend,
    async run(fleet) {
      fleet.servers[index]!.kill();
      await fleet.untilHealth(backend, 'down');
    },
  };
}

function comeBack(backend: string, index: number): SurviveEvent {
  return {
    title: `${backend} is back`,
    watchMs: WATCH_MS,
    async run(fleet) {
      fleet.servers[index] = await startServer(fleet.lab, index);
      await fleet.untilHealth(backend, 'up');
    },
  };
}
