/**
 * Which engine runs: the one that the config names, or with `auto` the fastest that works on this machine. An engine that
 * cannot work here says exactly what is missing and what to do; `auto` repeats these words in its reason, so that the log
 * says why a node is slower than it could be.
 */
import type { EngineChoice } from '../config/types.js';
import type { NodeEngine } from '../core/engines.js';
import { AnyhopError, InterfaceTaken } from '../core/errors.js';
import type { Image } from '../image/read.js';
import type { Engine } from './contract.js';

/** An engine with the settings that it would run with; see `EngineKind`. */
export interface EngineCandidate {
  readonly name: NodeEngine;
  /** @throws AnyhopError why it cannot work here */
  prepare(): Promise<Engine>;
}

export interface ChosenEngine<First> {
  readonly engine: Engine;
  /** What the engine started with. */
  readonly first: First;
  /** One line: as configured, or why it is this one and none that is faster. */
  readonly reason: string;
}

/** What an engine starts with. */
export interface FirstForwarded {
  readonly image: Image;
  /** Compiled lists; undefined as for `Engine.start`. */
  readonly lists?: Uint8Array | undefined;
}

export type FirstImage<First> = (engine: Engine, predecessor: Image | undefined) => Promise<First>;

/**
 * Starts the engine.
 *
 * @param candidates the fastest first
 * @param firstImage makes the first image of each engine that is tried, which follows the predecessor's
 * @throws AnyhopError why the named engine, or none at all, works here (ERR_ENGINE); the host is as it was before
 */
export async function startEngine<First extends FirstForwarded>(
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

async function start<First extends FirstForwarded>(
  candidate: EngineCandidate,
  firstImage: FirstImage<First>,
): Promise<Omit<ChosenEngine<First>, 'reason'>> {
  const engine = await candidate.prepare().catch((cause: unknown): never => {
    if (!(cause instanceof AnyhopError)) throw cause;
    const { message, hint } = cause;
    throw new AnyhopError('ERR_ENGINE', `${cannotWork(candidate)}${ofItself(candidate, message)}`, {
      ...(hint !== undefined && { hint }),
      cause,
    });
  });
  const first = await firstImage(engine, await engine.predecessor());
  await engine.start(first.image, first.lists);
  return { engine, first };
}

/** The message, for a place right after the engine's name. */
function ofItself({ name }: EngineCandidate, message: string): string {
  return message.replaceAll(new RegExp(`the (?:engine ${name}|${name} engine)\\b`, 'g'), 'it');
}

function cannotWork({ name }: EngineCandidate): string {
  return `the engine ${name} cannot work here: `;
}
