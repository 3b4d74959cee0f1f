/** A config on its way into force: judged by what the host has, written as a generation, and judged by HAProxy itself. */
import type { Render } from '../render/rendering.js';
import { checkGeneration } from './check.js';
import type { Generation, Generations } from './generations.js';
import { readHostFacts } from './host-facts.js';
import type { Identity } from './identity.js';
import { type Bind, type Needs, problemsOnHost } from './limits.js';
import type { HaproxyProblem } from './problems.js';

/** A config for HAProxy. */
export interface HaproxyConfig {
  /** Asked again when HAProxy's files are gone, so it renders what is in force now. */
  readonly render: Render;
  readonly needs: Needs;
}

/** Where and as whom HAProxy runs. */
export interface Place {
  readonly generations: Generations;
  readonly program: string;
  readonly identity: Identity | undefined;
}

/** HAProxy as it runs at the moment. */
export interface Running {
  readonly pids: readonly number[];
  readonly binds: readonly Bind[];
}

export type Prepared =
  | { readonly ok: true; readonly generation: Generation; readonly warnings: readonly HaproxyProblem[] }
  | { readonly ok: false; readonly problems: readonly HaproxyProblem[] };

/**
 * All problems at once, errors and warnings; nothing is left of a config that has an error.
 * @throws AnyhopError ERR_HAPROXY when it cannot be written; ERR_TOOL when a program is missing or does not end in time
 */
export async function prepare(config: HaproxyConfig, place: Place, running: Running): Promise<Prepared> {
  const { generations, program, identity } = place;
  const facts = await readHostFacts(config.needs, running.pids);
  const onHost = problemsOnHost(config.needs, facts, running.binds);
  const generation = await generations.write(config.render);
  let found: HaproxyProblem[];
  try {
    found = [...onHost, ...(await checkGeneration(generation, program, identity))];
  } catch (error) {
    await generations.remove(generation.number);
    throw error;
  }
  if (found.every(({ level }) => level === 'warning')) return { ok: true, generation, warnings: found };
  await generations.remove(generation.number);
  return { ok: false, problems: found };
}
