/**
 * Changes that overlap, each list of them played against fleets of several sizes: what share of the open connections breaks though
 * its backend lives. Second chance is beside a key with one alternate, and none.
 */
import { TABLE_SIZE_DEFAULT } from '../core/limits.js';
import { eventText, isEdit, parseScript, type SimEvent } from './event.js';
import type { FlowCounts } from './flows.js';
import { ANYHOP, ANYHOP_ALONE, ANYHOP_ONE, type Scheme } from './scheme.js';
import { type SimRow, simulate } from './simulate.js';

export const OVERLAP_SETTLE_SECONDS = 60;
/** All that is waited for is a multiple of it. */
const TICK_MS = 5000;
export const OVERLAP_BACKENDS = [5, 10, 50] as const;
export const OVERLAP_SCHEMES: readonly Scheme[] = [ANYHOP, ANYHOP_ONE, ANYHOP_ALONE];

export interface Overlap {
  readonly name: string;
  /** Planned changes, and changes of a backend's health, that overlap; a flap is one. */
  readonly changes: 2 | 3;
  /** As a script: they begin when half of the connections of the start have ended, so that some are born in each state. */
  readonly script: string;
  /** Of connections. As long as changes are remembered, where nothing else is said. */
  readonly lifetimeSeconds?: number;
}

/** A drain keeps its connections for longer than a settle time, so they live for longer, and the end comes while the addition settles. */
const OLD_DRAIN = {
  script: 'drain web-1, wait 90, add web-new, wait 55',
  lifetimeSeconds: 300,
};

export const OVERLAPS: readonly Overlap[] = [
  {
    name: 'drain and crash',
    changes: 2,
    script: 'drain web-1, wait 20, crash web-2, wait 5, down web-2, settle',
  },
  { name: 'drain and false down', changes: 2, script: 'drain web-1, wait 20, down web-2, settle' },
  { name: 'fresh drain and flap', changes: 2, script: 'drain web-1, wait 10, flap web-2 10, settle' },
  { name: 'drain and drain', changes: 2, script: 'drain web-1, wait 20, drain web-2, settle' },
  { name: 'add and add', changes: 2, script: 'add web-new, wait 20, add web-newer, settle' },
  { name: 'remove and add', changes: 2, script: 'remove web-1, wait 20, add web-new, settle' },
  { name: 'drain older than the settle time, then add', changes: 2, ...OLD_DRAIN },
  { name: 'drain, undrain', changes: 2, script: 'drain web-1, wait 20, undrain web-1, settle' },
  {
    name: 'two drains and crash',
    changes: 3,
    script: 'drain web-1, wait 10, drain web-2, wait 10, crash web-3, wait 5, down web-3, settle',
  },
  {
    name: 'three drains',
    changes: 3,
    script: 'drain web-1, wait 10, drain web-2, wait 10, force drain web-3, settle',
  },
  {
    name: 'two drains and false down',
    changes: 3,
    script: 'drain web-1, wait 10, drain web-2, wait 10, down web-3, settle',
  },
];

export interface OverlapOptions {
  readonly seed: number;
  readonly nodes: number;
  readonly flows: number;
}

export interface OverlapResult {
  readonly name: string;
  readonly changes: 2 | 3;
  /** Would wait by the rule of the queue, and did not: in words, as in the script. */
  readonly forced: readonly string[];
  /** As `--events` takes them. */
  readonly events: string;
  readonly lifetimeSeconds: number;
  readonly fleets: readonly OverlapFleet[];
}

export interface OverlapFleet {
  readonly backends: number;
  /** By scheme: of the connections that are open at any moment, those that broke though their backend lives, from 0. */
  readonly broken: Readonly<Record<string, number>>;
}

export function playOverlap(overlap: Overlap, { seed, nodes, flows }: OverlapOptions): OverlapResult {
  const { name, changes, script, lifetimeSeconds = OVERLAP_SETTLE_SECONDS } = overlap;
  const events: SimEvent[] = [{ kind: 'wait', seconds: lifetimeSeconds / 2 }, ...parseScript(script)];
  const play = (backends: number): OverlapFleet => {
    const { rows } = simulate({
      seed,
      backends,
      nodes,
      flows,
      slots: TABLE_SIZE_DEFAULT,
      settleMs: OVERLAP_SETTLE_SECONDS * 1000,
      lifetimeMs: lifetimeSeconds * 1000,
      tickMs: TICK_MS,
      events,
      schemes: OVERLAP_SCHEMES,
    });
    const shares = OVERLAP_SCHEMES.map((scheme) => [scheme.name, countBroken(rows, scheme) / flows]);
    return { backends, broken: Object.fromEntries(shares) };
  };
  return {
    name,
    changes,
    forced: events.filter((event) => isEdit(event) && event.force === true).map(eventText),
    events: events.map(eventText).join(', '),
    lifetimeSeconds,
    fleets: OVERLAP_BACKENDS.map(play),
  };
}

/** Reset, or without an answer for too long. */
function countBroken(rows: readonly SimRow[], { name }: Scheme): number {
  const broken = ({ broken, silent }: FlowCounts): number => broken + silent;
  return rows.reduce((sum, { counts }) => sum + broken(counts[name]), 0);
}
