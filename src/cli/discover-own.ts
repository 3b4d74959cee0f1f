/** What a node and a proxy host of their own do with sources alike: they ask for what is missing before they start, and keep what they found. */
import { readFileSync } from 'node:fs';
import { keepFound, keptFound } from '../config/discover/kept.js';
import type { GroupKind } from '../config/discover/kinds.js';
import { type FoundGroups, mentionsDiscovery, type Standing } from '../config/edit/found.js';
import { ConfigError } from '../config/error.js';
import { loadConfig } from '../config/load.js';
import { isSystemError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { decide } from '../discover/decide.js';
import { type Group, type Grouped, groupsOf } from '../discover/groups.js';
import { sourceOf } from '../discover/sources/sources.js';

/** How long a first start waits for the sources. */
const FIRST_MS = 10_000;

/** Where what was found is kept. */
export interface FoundPlace {
  readonly kind: GroupKind;
  /** The config file, and the directory for what is kept. */
  readonly file: string;
  readonly directory: string;
  readonly log: Logger;
}

/**
 * Asks the sources of groups that have no members yet, neither in the file nor kept, so that the process can start at all. A source that
 * gives none is logged; the file is then refused as any other that lacks them.
 */
export async function findFirst(place: FoundPlace): Promise<void> {
  const empty = groupsWithout(place);
  if (empty.length === 0) return;
  const { kind, file, directory, log } = place;
  const found = await Promise.all(
    empty.map(async (group) => {
      const first = await firstOf(group);
      if (typeof first !== 'string') return [[group.key, first] as const];
      log.error({ event: 'discovery_alarm', [kind]: group.name }, first);
      return [];
    }),
  );
  await keepFound(directory, file, kind, new Map([...keptFound(directory, file), ...found.flat()]));
}

function groupsWithout({ kind, file, directory }: FoundPlace): Group[] {
  try {
    if (!mentionsDiscovery(readFileSync(file, 'utf8'))) return [];
    const overrides = { stateDirectory: directory };
    const config = loadConfig(file, { role: 'pools', mayLackFound: true, overrides });
    return groupsOf(config).filter((group) => group.kind === kind && group.members.length === 0);
  } catch (error) {
    if (error instanceof ConfigError || isSystemError(error)) return []; // the start says what is wrong with it
    throw error;
  }
}

/** Resolves to why there are none, in words, when a source gives nothing that can be used. */
async function firstOf({ key, kind, from }: Group): Promise<readonly Standing[] | string> {
  const source = sourceOf(kind, from);
  const unusable = (why: string): string =>
    `the ${key} has nothing to begin with, and its source gives nothing (${source.words}): ${why}`;
  try {
    const { found } = await source.ask(AbortSignal.timeout(FIRST_MS));
    const fact = { recent: [], holds: () => true, isDrained: () => false };
    const { next, alarm } = decide({ kind, inForce: [], found, limits: from, ...fact });
    return alarm === undefined ? next : unusable(alarm.text);
  } catch (error) {
    return unusable(reasonOf(error));
  }
}

/** Keeps what is in force. */
export async function keepInForce(
  { kind, file, directory, log }: FoundPlace,
  config: Grouped,
): Promise<void> {
  const found: FoundGroups = new Map(groupsOf(config).map(({ key, members }) => [key, members]));
  try {
    await keepFound(directory, file, kind, found);
  } catch (error) {
    const why = reasonOf(error);
    log.warn(
      { event: 'state_not_kept', directory, why },
      `what sources have named will not survive a restart: ${why}`,
    );
  }
}
