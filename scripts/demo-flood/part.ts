/** One part of the demo: a fleet with or without defence, clients, and the floods one after the other. */
import { setTimeout as delay } from 'node:timers/promises';
import type { LabSections } from '../lab/lab.js';
import type { Generated } from '../native/generator.js';
import type { Sample } from '../survive/journal.js';
import { type ClientNumbers, FloodFleet } from './fleet.js';
import { type Flood, flood } from './floods.js';
import type { ClientRecord } from './journal.js';
import { type Look, Witness } from './witness.js';

export interface PartPlan {
  readonly defended: boolean;
  /** Of the config, besides the lab's own. */
  readonly sections: LabSections;
  readonly clients: ClientNumbers;
  readonly floods: readonly { readonly flood: Flood; readonly rate: number; readonly seconds: number }[];
}

export interface PlayedFlood {
  readonly title: string;
  readonly atMs: number;
  readonly doneMs: number;
  readonly made: Generated;
  readonly endsAtEdge: boolean;
}

/** What was seen of a part. */
export interface Witnessed {
  readonly defended: boolean;
  readonly startMs: number;
  readonly held: number;
  readonly played: readonly PlayedFlood[];
  readonly connections: readonly ClientRecord[];
  readonly samples: readonly Sample[];
  readonly looks: readonly Look[];
}

/** Before the first flood, for comparison, and after each. */
const CALM_MS = 1_500;

export async function playPart(plan: PartPlan, say: (line: string) => void): Promise<Witnessed> {
  const { defended, sections, clients, floods } = plan;
  const fleet = await FloodFleet.start(sections, defended);
  try {
    if (defended) await fleet.untilCookies();
    const traffic = await fleet.startClients(clients);
    const startMs = Date.now();
    const witness = new Witness(fleet);
    say(
      `everything runs: ${clients.held} connections are open, ${clients.shortsPerSecond} new ones begin each second`,
    );
    await delay(CALM_MS);
    const played: PlayedFlood[] = [];
    for (const { flood: kind, rate, seconds } of floods) {
      const atMs = Date.now();
      say(
        `${((atMs - startMs) / 1000).toFixed(1).padStart(6)} s  ${kind.title} for ${seconds} s; ${traffic.broken} failed so far`,
      );
      const made = await flood(fleet, kind, { rate, seconds });
      await delay(CALM_MS);
      const { title, endsAtEdge } = kind;
      played.push({ title, atMs, doneMs: Date.now(), made, endsAtEdge });
    }
    await traffic.stop();
    await witness.stop();
    const { samples } = traffic;
    const connections = traffic.connections as ClientRecord[];
    return { defended, startMs, held: clients.held, played, connections, samples, looks: witness.looks };
  } catch (error) {
    say(fleet.tails());
    throw error;
  } finally {
    await fleet.close();
  }
}
