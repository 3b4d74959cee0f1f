/**
 * Which engine runs: the one that the config names, or with `auto` the fastest that this machine takes. An engine that
 * cannot work here says exactly what is missing and what to do; `auto` takes these words into its reason, so that the log
 * tells why a node is slower than it could be.
 */
import type { EngineChoice } from '../config/types.js';
import { AnyhopError, InterfaceTaken } from '../core/errors.js';
import type { Image } from '../image/read.js';
import type { Engine, EngineName } from './contract.js';

/** Why an engine cannot work here. */
export interface Obstacle {
  readonly message: string;
  readonly hint: string | undefined;
}

export interface EngineCandidate {
  readonly name: Exclude<EngineName, 'replay'>;
  /** Undefined when nothing is known to be in the way; `start` may still fail. */
  obstacle(): Promise<Obstacle | undefined>;
  create(): Engine;
}

export interface ChosenEngine<First> {
  readonly engine: Engine;
  /** What the engine started with. */
  readonly first: First;
  /** One line: as configured, or why it is this one and none that is faster. */
  readonly reason: string;
}

export type FirstImage<First> = (engine: Engine, predecessor: Image | undefined) => Promise<First>;

/**
 * Starts the engine.
 *
 * @param candidates the fastest first
 * @param firstImage made once for each engine that is tried, to follow what its predecessor left in force
 * @throws AnyhopError what is in the way of the engine that was named, or of every one of them (ERR_ENGINE); nothing is
 *   left changed on the host then
 */
export async function startEngine<First extends { readonly image: Image }>(
  choice: EngineChoice,
  candidates: readonly EngineCandidate[],
  firstImage: FirstImage<First>,
): Promise<ChosenEngine<First>> {
  if (choice !== 'auto') {
    const candidate = candidates.find(({ name }) => name === choice)!;
    return { ...(await start(candidate, firstImage)), reason: 'as configured' };
  }
  const tried: string[] = [];
  const hints = new Map<string, string>();
  for (const candidate of candidates) {
    try {
      const started = await start(candidate, firstImage);
      return { ...started, reason: tried.length === 0 ? 'auto: the fastest' : `auto; ${tried.join('; ')}` };
    } catch (error) {
      if (!(error instanceof AnyhopError) || error instanceof InterfaceTaken) throw error;
      tried.push(
        `not ${candidate.name}: ${ofItself(candidate, error.message.replace(cannotWork(candidate), ''))}`,
      );
      if (error.hint !== undefined) hints.set(error.hint, candidate.name);
    }
  }
  throw new AnyhopError(
    'ERR_ENGINE',
    `no engine works here\n${tried.map((line) => `  ${line}`).join('\n')}`,
    {
      hint: [...hints].map(([hint, name]) => `${name}: ${hint}`).join('\n  '),
    },
  );
}

async function start<First extends { readonly image: Image }>(
  candidate: EngineCandidate,
  firstImage: FirstImage<First>,
): Promise<Omit<ChosenEngine<First>, 'reason'>> {
  const obstacle = await candidate.obstacle();
  if (obstacle !== undefined) {
    throw new AnyhopError('ERR_ENGINE', `${cannotWork(candidate)}${ofItself(candidate, obstacle.message)}`, {
      ...(obstacle.hint !== undefined && { hint: obstacle.hint }),
    });
  }
  const engine = candidate.create();
  const first = await firstImage(engine, await engine.predecessor());
  await engine.start(first.image);
  return { engine, first };
}

/** What is said of an engine, behind its name. */
function ofItself({ name }: EngineCandidate, message: string): string {
  return message.replaceAll(new RegExp(`the (?:engine ${name}|${name} engine)\\b`, 'g'), 'it');
}

function cannotWork({ name }: EngineCandidate): string {
  return `the engine ${name} cannot work here: `;
}
