/** A config that is to be in force in a fleet, against the one that is: checked, planned, and put in force or not. */
import { readFileSync } from 'node:fs';
import { parseDocument } from 'yaml';
import { mayMention } from '../config/edit/mention.js';
import { ConfigError } from '../config/error.js';
import { parseConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { FLEET_MESSAGE_CHARS_MAX } from '../core/limits.js';
import { reasonOf } from '../core/reason.js';
import { formatDuration } from '../core/time.js';
import { type Applied, type ApplyOptions, apply, type Change } from '../fleet/apply.js';
import { textOf } from '../fleet/blob.js';
import { fleetDigest } from '../fleet/digest.js';
import { onlyFoundSince, viewAtRest } from '../fleet/found-meanwhile.js';
import { refused } from '../fleet/refused.js';
import type { FleetStore } from '../fleet/store.js';
import type { FleetView } from '../fleet/view.js';
import { type FileReport, planFiles } from './file-plan.js';
import type { KeyOptions } from './fleet-options.js';
import { operatorKey, whoAmI, withStore } from './fleet-place.js';
import type { ConfigOptions } from './options.js';
import { writeOut, writeResult } from './output.js';
import { drawFilePlan } from './plan-text.js';
import { ProgressLine } from './progress-line.js';

/** Lines of what a revision changes that its record keeps. */
const CHANGES_MAX = 50;
/** A change is begun anew where only sources have changed something meanwhile. */
const TRIES = 3;
const SECRETS = [
  ['node', 'key'],
  ['l7', 'key'],
] as const;

export interface FleetChangeOptions extends ConfigOptions, KeyOptions {
  readonly message?: string;
  readonly without?: readonly string[];
  readonly force?: true;
  readonly json?: true;
}

export interface Candidate {
  readonly text: string;
  readonly config: LoadedConfig;
}

/** @throws AnyhopError ERR_USAGE when it cannot be read */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new AnyhopError('ERR_USAGE', `${file}: ${reasonOf(error)}`);
  }
}

/** @throws ConfigError also when it has a secret in it */
export function candidateOf(text: string, file: string): Candidate {
  const config = parseConfig(text, file, { role: 'pools' });
  const document = mayMention(text, /\bkey\b/) ? parseDocument(text) : undefined;
  for (const path of SECRETS)
    if (document?.hasIn(path))
      throw new ConfigError([
        {
          file,
          ...config.placeOf([...path]),
          field: path.join('.'),
          message:
            'found a secret, which everybody who reads the store would have; expected key_file, a file on each host',
        },
      ]);
  return { text, config };
}

/** What is in force in the fleet; undefined when nothing is. */
export async function inForce(store: FleetStore, { active }: FleetView): Promise<Candidate | undefined> {
  if (active === undefined) return undefined;
  return candidateOf(await textOf(store, active), `revision ${active.number}`);
}

/** What it would do to replace one by the other. */
export function planOf(before: Candidate | undefined, after: Candidate): FileReport {
  return planFiles(before?.config ?? { ...after.config, pools: [], services: [] }, after.config);
}

export function changesOf({ pools, services }: FileReport): string[] {
  const words = pools.flatMap(({ pool, status, changes }) => {
    if (status === 'same') return [];
    return status === 'changed' ? changes.map((each) => `${pool}: ${each}`) : [`pool ${pool} ${status}`];
  });
  return [...words, ...services];
}

/** What is to be in force, and why. */
export interface Wanted {
  readonly candidate: Candidate;
  readonly message: string;
  /** What it changes beside pools and services. */
  readonly notes?: readonly string[];
}

type Next = (store: FleetStore, before: Candidate | undefined, view: FleetView) => Promise<Wanted>;

/** Puts a config in force in the fleet, and prints what became of it. */
export async function changeFleet(options: FleetChangeOptions, next: Next): Promise<void> {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  process.once('SIGINT', abort).once('SIGTERM', abort);
  const line = new ProgressLine();
  try {
    await withStore(options, async (store, fleet) => {
      const key = operatorKey(options, fleet);
      const way = { fleet, key, signal: stop.signal, progress: (text: string) => line.show(text) };
      for (let tries = 1; ; tries++) {
        const view = await viewAtRest(store, fleet, way);
        try {
          await changeFrom(view, store, options, next, way, line);
          return;
        } catch (error) {
          const isOver = tries === TRIES || stop.signal.aborted || !isRefused(error);
          if (isOver || !(await onlyFoundSince(store, fleet, view))) throw error;
        }
      }
    });
  } finally {
    line.clear();
    process.off('SIGINT', abort).off('SIGTERM', abort);
  }
}

function isRefused(error: unknown): boolean {
  return error instanceof AnyhopError && error.code === 'ERR_FLEET';
}

/** @throws AnyhopError ERR_FLEET when it is not in force afterwards */
async function changeFrom(
  view: FleetView,
  store: FleetStore,
  options: FleetChangeOptions,
  next: Next,
  way: ApplyOptions,
  line: ProgressLine,
): Promise<void> {
  const { json = false, without = [], force = false } = options;
  if (view.faults.length > 0)
    throw refused(
      view.faults.join('; '),
      'Somebody wrote to the store who is not the operator, or it lost a part.',
    );
  const before = await inForce(store, view);
  const { candidate, message, notes = [] } = await next(store, before, view);
  const plan = planOf(before, candidate);
  if (before?.text === candidate.text) {
    writeResult(
      json,
      { revision: view.active, changed: false },
      () => `revision ${view.active?.number} says the same: nothing to do\n`,
    );
    return;
  }
  line.clear();
  if (!json) writeOut([...notes.map((note) => `${note}\n`), drawFilePlan(plan)].join(''));
  const change: Change = {
    text: candidate.text,
    digest: fleetDigest(candidate.config),
    by: whoAmI(),
    message: message.slice(0, FLEET_MESSAGE_CHARS_MAX),
    force,
    without: [...without],
    changes: [...notes, ...changesOf(plan)]
      .slice(0, CHANGES_MAX)
      .map((each) => each.slice(0, FLEET_MESSAGE_CHARS_MAX)),
  };
  const applied = await apply(store, view, change, way);
  line.clear();
  writeResult(json, { ...applied, changed: true }, drawApplied);
  if (applied.late.length > 0) process.exitCode = EXIT.failure;
}

function drawApplied({ revision, members, prepareMs, waitMs, switchMs, late }: Applied): string {
  const times = [
    `prepared in ${formatDuration(Math.round(prepareMs))}`,
    ...(waitMs > 1000 ? [`waited ${formatDuration(Math.round(waitMs / 1000) * 1000)}`] : []),
    `switched in ${formatDuration(Math.round(switchMs))}`,
  ];
  const who = members === 1 ? '1 member' : `${members} members`;
  const lines = [`revision ${revision.number} is in force on ${who}: ${times.join(', ')}`];
  if (late.length > 0) lines[0] = `revision ${revision.number} is in force, but not on all ${who}:`;
  return [...lines, ...late.map((each) => `  ${each}`), ''].join('\n');
}
