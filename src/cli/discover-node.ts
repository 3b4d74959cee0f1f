/** A node of its own whose pools have sources of backends: it asks them itself, and changes itself by its ordinary queue. */
import { readFileSync } from 'node:fs';
import type { DiscoveryStatus } from '../api/status.js';
import { keepFound, keptFound } from '../config/discover/kept.js';
import { type FoundPools, mentionsDiscovery, type Standing } from '../config/edit/found.js';
import { ConfigError } from '../config/error.js';
import { loadConfig } from '../config/load.js';
import type { PoolConfig } from '../config/types.js';
import { isSystemError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { decide, standingOf } from '../discover/decide.js';
import { Discovery } from '../discover/discovery.js';
import { RecentStates } from '../discover/recent.js';
import { sourceOf } from '../discover/sources/sources.js';
import type { ConfigChanges } from '../node/config-changes.js';
import type { NodeDiscovery } from '../node/run.js';
import type { RuntimeEdits } from '../node/runtime-edits.js';

/** How long a first start waits for the sources. */
const FIRST_MS = 10_000;

/**
 * Asks the sources of pools that have no backends yet, neither in the file nor kept, so that the node can start at all. A source that gives
 * none is logged; the file is then refused as any other that lacks backends.
 */
export async function findFirst(file: string, directory: string, log: Logger): Promise<void> {
  const empty = poolsWithout(file, directory);
  if (empty.length === 0) return;
  const found = await Promise.all(
    empty.map(async (pool) => {
      const first = await firstOf(pool);
      if (typeof first !== 'string') return [[pool.name, first] as const];
      log.error({ event: 'discovery_alarm', pool: pool.name }, first);
      return [];
    }),
  );
  await keepFound(directory, file, new Map([...keptFound(directory, file), ...found.flat()]));
}

function poolsWithout(file: string, directory: string): PoolConfig[] {
  try {
    if (!mentionsDiscovery(readFileSync(file, 'utf8'))) return [];
    const overrides = { stateDirectory: directory };
    const { pools } = loadConfig(file, { role: 'pools', mayLackBackends: true, overrides });
    return pools.filter(({ backends }) => backends.length === 0);
  } catch (error) {
    if (error instanceof ConfigError || isSystemError(error)) return []; // the start says what is wrong with it
    throw error;
  }
}

/** Resolves to why there are none, in words, when a source gives nothing that can be used. */
async function firstOf({ name, backendsFrom }: PoolConfig): Promise<readonly Standing[] | string> {
  const source = sourceOf(backendsFrom!);
  const unusable = (why: string): string =>
    `the pool ${name} has no backends to begin with, and its source gives none (${source.words}): ${why}`;
  try {
    const { backends: found } = await source.ask(AbortSignal.timeout(FIRST_MS));
    const fact = { recent: [], holds: () => true, isDrained: () => false };
    const { next, alarm } = decide({ inForce: [], found, limits: backendsFrom!, ...fact });
    return alarm === undefined ? next : unusable(alarm.text);
  } catch (error) {
    return unusable(reasonOf(error));
  }
}

export interface LoneDiscoveryOptions {
  readonly edits: RuntimeEdits;
  /** The config file, and the directory for what is kept. */
  readonly file: string;
  readonly directory: string;
  readonly log: Logger;
}

export class LoneDiscovery implements NodeDiscovery {
  readonly #options: LoneDiscoveryOptions;
  #discovery: Discovery | undefined;

  constructor(options: LoneDiscoveryOptions) {
    this.#options = options;
  }

  readonly status = (): readonly DiscoveryStatus[] => this.#discovery?.status ?? [];

  readonly serves = (actions: ConfigChanges): void => {
    const { edits, log } = this.#options;
    this.#discovery = new Discovery({
      host: {
        pools: () => actions.pools,
        isDrained: (pool, backend) => actions.isDrained(pool, backend),
        recent: new RecentStates(),
        apply: async (found, changes) => {
          const waits = await actions.discover(() => edits.withFound(found), changes.join('; '));
          if (waits.length === 0) await this.#keep(actions.pools);
          return waits;
        },
      },
      log,
    });
  };

  readonly close = async (): Promise<void> => {
    await this.#discovery?.close();
  };

  async #keep(pools: readonly PoolConfig[]): Promise<void> {
    const { directory, file, log } = this.#options;
    const found: FoundPools = new Map(
      pools.flatMap(({ name, backends, backendsFrom }) =>
        backendsFrom === undefined ? [] : [[name, standingOf(backends)] as const],
      ),
    );
    try {
      await keepFound(directory, file, found);
    } catch (error) {
      const why = reasonOf(error);
      log.warn(
        { event: 'state_not_kept', directory, why },
        `backends that were found will not survive a restart: ${why}`,
      );
    }
  }
}
