/**
 * Where events come from: the node that runs, or the files that it left when none answers. A node answers the newest few thousand; what
 * is older is read from its files, by who may.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { stateDirectoryIn } from '../config/state-directory.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { CONFIG_FILE_DEFAULT, STATE_DIRECTORY_DEFAULT } from '../core/limits.js';
import { reasonOf } from '../core/reason.js';
import type { EventsReport, NodeEvent } from '../events/event.js';
import { type KeptEvents, nameOfSegment, readKept, segmentPath } from '../events/segments.js';
import { ask, findSocket, isNobodyThere } from './control-client.js';

export interface SourceOptions {
  readonly socket?: string;
  readonly stateDir?: string;
  readonly name?: string;
}

export interface Found {
  /** The oldest first. */
  readonly events: readonly NodeEvent[];
  /** What there is to say about them, in sentences without a full stop. */
  readonly notes: readonly string[];
  /** Of a node that answers. */
  readonly report?: EventsReport;
}

/** Of files, all: their size is bounded. */
const ALL = Number.MAX_SAFE_INTEGER;

/** @throws AnyhopError when neither a node nor files answer, or it is unclear whose */
export async function findEvents(options: SourceOptions, sinceMs: number): Promise<Found> {
  if (options.stateDir !== undefined || options.name !== undefined) return fromFiles(options, sinceMs);
  let socket: string;
  let report: EventsReport;
  try {
    socket = options.socket ?? (await findSocket());
    report = await askEvents(socket, { sinceMs });
  } catch (error) {
    if (!isNobodyThere(error)) throw error;
    try {
      return fromFiles(options, sinceMs, `no node answers (${error.message})`);
    } catch (missing) {
      if (missing instanceof NoFiles) throw error; // what is wrong is that no node runs
      throw missing;
    }
  }
  return withOlder(report, sinceMs);
}

export async function askEvents(
  socket: string,
  { sinceMs, after }: { readonly sinceMs: number; readonly after?: number | undefined },
): Promise<EventsReport> {
  const query = new URLSearchParams({
    since: new Date(sinceMs).toISOString(),
    ...(after !== undefined && { after: String(after) }),
  });
  return (await ask(socket, `/events?${query}`)) as EventsReport;
}

/** Adds what the node has no longer in memory. */
function withOlder(report: EventsReport, sinceMs: number): Found {
  const { since, events, kept } = report;
  const fromMs = Date.parse(since);
  if (kept === undefined || report.isCut !== true || fromMs <= sinceMs) return { events, notes: [], report };
  const name = nameOfSegment(basename(kept))!;
  const { events: all, problems } = read(dirname(kept), name);
  const older = all.filter(({ at }) => Date.parse(at) >= sinceMs && Date.parse(at) < fromMs);
  const notes = problems.map((problem) => `events before ${since} cannot be read: ${problem}`);
  return { events: [...older, ...events], notes, report };
}

class NoFiles extends AnyhopError {}

function fromFiles({ stateDir, name }: SourceOptions, sinceMs: number, why?: string): Found {
  const directory = stateDir ?? stateDirectory();
  const names = namesIn(directory);
  const asked = name === undefined ? names : names.filter((each) => each === name);
  if (asked.length === 0)
    throw new NoFiles(
      'ERR_STATE_FILE',
      `no events ${name === undefined ? '' : `of ${name} `}are kept in ${directory}`,
      {
        exitCode: EXIT.failure,
        hint:
          names.length === 0
            ? 'Name the directory (node.state_dir) with --state-dir.'
            : `Those of ${names.join(', ')} are: name one with --name.`,
      },
    );
  if (asked.length > 1)
    throw new AnyhopError(
      'ERR_USAGE',
      `events of several nodes are kept in ${directory}: ${asked.join(', ')}`,
      {
        hint: `Name one: --name ${asked.join(' | ')}`,
      },
    );
  const { events, torn, problems } = read(directory, asked[0]);
  return {
    events: events.filter(({ at }) => Date.parse(at) >= sinceMs),
    notes: [
      ...(why === undefined ? [] : [`${why}: events from ${segmentPath(directory, asked[0])}`]),
      ...(torn === 0
        ? []
        : [`${torn} ${torn === 1 ? 'line there is' : 'lines there are'} no events, as after a kill`]),
      ...problems,
    ],
  };
}

/** The last event of the one node that has files where this host's node has them; undefined when there is none, or more than one. */
export function keptEvents(): { readonly last: NodeEvent & { readonly node: string } } | undefined {
  const directory = stateDirectory();
  let names: string[];
  try {
    names = namesIn(directory);
  } catch (error) {
    if (error instanceof AnyhopError) return undefined;
    throw error;
  }
  if (names.length !== 1) return undefined;
  const last = read(directory, names[0]).events.at(-1);
  return last && { last: { ...last, node: names[0] } };
}

/** Files of the user whose directory it is are as good as own ones: they are only read. */
function read(directory: string, name: string): KeptEvents {
  return readKept(directory, name, { nowMs: Date.now(), most: ALL, ...ownerOf(directory) });
}

function ownerOf(directory: string): { readonly owner?: number } {
  try {
    return { owner: statSync(directory).uid };
  } catch {
    return {}; // reading the files says why
  }
}

/** As `anyhop run` finds it. */
function stateDirectory(): string {
  const said = process.env['ANYHOP_STATE_DIR'];
  if (said) return said;
  const inFile = stateDirectoryIn(process.env['ANYHOP_CONFIG'] || CONFIG_FILE_DEFAULT);
  return typeof inFile === 'object' ? inFile.path : STATE_DIRECTORY_DEFAULT;
}

/** @throws AnyhopError when this user may not look */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).flatMap((file) => nameOfSegment(file) ?? []);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new AnyhopError('ERR_STATE_FILE', `${directory}: ${reasonOf(error)}`, {
      exitCode: EXIT.failure,
      hint: 'Ask as the user that runs the node, or as root.',
    });
  }
}
