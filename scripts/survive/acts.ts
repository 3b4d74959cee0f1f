/** The kinds of events, each with what it touches and how long to look on after it. Machines count from 1, as their names do. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ChangeReport, PoolChangeReport } from '#anyhop/api/api.js';
import { Absence } from './absence.js';
import { type Fleet, FORWARDERS } from './fleet.js';
import type { NextBuild } from './next-build.js';
import { toggleHealth } from './traffic.js';

export interface SurviveEvent {
  readonly title: string;
  /** What comes before the moment that counts as the event's. */
  readonly prepare?: (fleet: Fleet) => Promise<void>;
  readonly run: (fleet: Fleet) => Promise<void>;
  /** By name: whose connections are at risk besides those that the event sends another way. */
  readonly touches?: { readonly forwarders?: readonly string[]; readonly backend?: string };
  /** The backend that takes its connections along. */
  readonly crashes?: string;
  /** The router sends most connections through another forwarder. */
  readonly rehashes?: true;
  /** How long to look on before the next event. */
  readonly watchMs: number;
}

/** Longer than the router's witness looks back, so that it sees the new placement alone. */
const WATCH_MS = 1_500;
/** Where a change must be taken back soon, or has been watched while it settled. */
const GLANCE_MS = 500;
/** How long the router goes on sending packets to a forwarder that is gone. */
const NOTICE_MS = 500;
/** How long before a waiting change comes into force its event begins. */
const BEFORE_DUE_MS = 200;

const edge = (number: number): string => `edge-${number}`;
const web = (number: number): string => `web-${number}`;
const EDGES = Array.from({ length: FORWARDERS }, (_, i) => i + 1);

type Effect = PoolChangeReport['effect'];

/** A change of the pool as an operator makes it. */
export interface PlannedEvent extends SurviveEvent {
  /** @param expected what comes of it on every node */
  readonly ask: (fleet: Fleet, expected: Effect) => Promise<void>;
}

/** Comes into force at once. The next event does not wait for it to settle. */
export function planned(title: string, change: (fleet: Fleet) => Promise<ChangeReport[]>): PlannedEvent {
  const ask = async (fleet: Fleet, expected: Effect): Promise<void> => {
    const pools = (await change(fleet)).flatMap((report) => report.pools);
    const other = pools.find(({ effect }) => effect !== expected);
    if (other !== undefined) throw new Error(`${title}: ${other.effect}, and not ${expected}`);
  };
  return { title, watchMs: WATCH_MS, ask, run: (fleet) => ask(fleet, 'in_force') };
}

/** The same, and the next event comes when it has settled, if it does not overlap with others. */
export function settled(event: SurviveEvent): SurviveEvent {
  return {
    ...event,
    watchMs: GLANCE_MS,
    async run(fleet) {
      await event.run(fleet);
      await fleet.untilSettled();
    },
  };
}

/**
 * A change while another is open, and the one that takes it back. That one is asked for at once, and comes into force when one of the two
 * has settled.
 */
export function takenBack(change: PlannedEvent, back: PlannedEvent): SurviveEvent[] {
  return [
    {
      ...change,
      watchMs: GLANCE_MS,
      async run(fleet) {
        await change.run(fleet);
        await back.ask(fleet, 'queued');
      },
    },
    {
      ...settled({ ...back, run: async () => {} }),
      async prepare(fleet) {
        const leftMs = (await fleet.nextDueMs()) - BEFORE_DUE_MS - Date.now();
        if (leftMs > 0) await delay(leftMs);
      },
    },
  ];
}

/** With what goes on meanwhile in the titles. */
export function beside(what: string, events: readonly SurviveEvent[]): SurviveEvent[] {
  return events.map((event) => ({ ...event, title: `${event.title}, while ${what}` }));
}

/** @param numbers of the backends that are in the config files anyway */
export function reorder(numbers: readonly number[]): SurviveEvent {
  const reload = planned('reload with the backends in another order', (fleet) => fleet.reload(numbers));
  return {
    ...reload,
    touches: { forwarders: EDGES.map(edge) },
    watchMs: WATCH_MS,
    run: (fleet) => reload.ask(fleet, 'unchanged'),
  };
}

export function flap(backend: number, settleMs: number): SurviveEvent[] {
  const name = web(backend);
  const away = new Absence(name, settleMs);
  return [
    {
      title: `${name} fails its checks`,
      watchMs: GLANCE_MS,
      async run(fleet) {
        away.begins();
        await toggleHealth(fleet.server(backend), 2);
        await fleet.untilHealth(name, 'down');
      },
    },
    {
      title: `${name} passes them again`,
      watchMs: WATCH_MS,
      async run(fleet) {
        await toggleHealth(fleet.server(backend), 3);
        await fleet.untilHealth(name, 'up');
        away.ends();
      },
    },
  ];
}

/** edge-1 alone sees a backend down, while connections change from forwarder to forwarder. */
export function divide(backend: number, settleMs: number): SurviveEvent[] {
  const name = web(backend);
  const [one, ...others] = EDGES as [number, ...number[]];
  const away = new Absence(name, settleMs);
  return [
    {
      title: `${edge(one)} alone sees ${name} down; the router rehashes`,
      rehashes: true,
      watchMs: WATCH_MS,
      async run(fleet) {
        away.begins();
        await fleet.hideBackend(one, backend, true);
        await fleet.untilHealth(name, 'down', edge(one));
        await fleet.routeTo([...others, one]);
      },
    },
    {
      title: `${edge(one)} sees ${name} up; the router rehashes`,
      rehashes: true,
      watchMs: WATCH_MS,
      async run(fleet) {
        await fleet.hideBackend(one, backend, false);
        await fleet.untilHealth(name, 'up');
        away.ends();
        await fleet.routeTo(EDGES);
      },
    },
  ];
}

export function kill(forwarder: number, engine: string): SurviveEvent {
  return {
    title: `kill -9 of ${edge(forwarder)} (${engine}), and its restart`,
    touches: { forwarders: [edge(forwarder)] },
    watchMs: WATCH_MS,
    async run(fleet) {
      await fleet.killNode(forwarder);
      await fleet.startNode(forwarder);
    },
  };
}

/** A machine is gone, and what its kernel would do without the process as well. */
export function loss(forwarder: number): SurviveEvent[] {
  return [
    {
      title: `loss of ${edge(forwarder)}`,
      touches: { forwarders: [edge(forwarder)] },
      watchMs: WATCH_MS,
      async run(fleet) {
        await fleet.killNode(forwarder);
        await fleet.stopForwarding(forwarder);
        await delay(NOTICE_MS);
        await fleet.routeTo(EDGES.filter((each) => each !== forwarder));
      },
    },
    {
      title: `return of ${edge(forwarder)}`,
      watchMs: WATCH_MS,
      async run(fleet) {
        await fleet.startNode(forwarder);
        await fleet.routeTo(EDGES);
      },
    },
  ];
}

/** Rolling, as a fleet is upgraded. */
export function upgrade({ program, version }: NextBuild): SurviveEvent {
  return {
    title: `upgrade of all forwarders to ${version}`,
    touches: { forwarders: EDGES.map(edge) },
    watchMs: WATCH_MS,
    async run(fleet) {
      for (const forwarder of EDGES) {
        await fleet.endNode(forwarder);
        await fleet.startNode(forwarder, program);
      }
      await fleet.until(`of version ${version}`, (status) => status.version === version);
      await fleet.requireReplaced();
    },
  };
}

export function restartAgent(backend: number): SurviveEvent {
  return {
    title: `restart of the agent of ${web(backend)}`,
    touches: { backend: web(backend) },
    watchMs: WATCH_MS,
    run: (fleet) => fleet.restartAgent(backend),
  };
}

/** Of the server's process. */
export function crash(backend: number): SurviveEvent {
  return {
    title: `crash of ${web(backend)}`,
    touches: { backend: web(backend) },
    crashes: web(backend),
    watchMs: WATCH_MS,
    async run(fleet) {
      fleet.server(backend).kill();
      await fleet.untilHealth(web(backend), 'down');
    },
  };
}

export function comeBack(backend: number): SurviveEvent {
  return {
    title: `${web(backend)} is back`,
    watchMs: WATCH_MS,
    async run(fleet) {
      await fleet.startServer(backend);
      await fleet.untilHealth(web(backend), 'up');
    },
  };
}
