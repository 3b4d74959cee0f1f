/** HAProxy's names for what the config names, so that a line of its log or its statistics leads back to the config. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { filePath, identifier, type Token, words } from './line.js';

/** Servers of one upstream get ids below this: HAProxy's consistent hash tells servers apart by 20 bits of their ids. */
const SERVER_IDS = 2 ** 20;

export const frontendName = (frontend: string): Token => words`f_${identifier(frontend)}`;
/** Answers plain HTTP with a redirect to https. */
export const redirectName = (frontend: string): Token => words`r_${identifier(frontend)}`;
/** Holds the stick table of a frontend's rate limit. */
export const rateTableName = (frontend: string): Token => words`t_${identifier(frontend)}`;
export const upstreamName = (upstream: string): Token => words`u_${identifier(upstream)}`;
/** The panic twin: the same servers without checks, so always up. */
export const panicName = (upstream: string): Token => words`p_${identifier(upstream)}`;

/** A file of the generation. @param directory the generation's directory @param file its path within it */
export const fileIn = (directory: string, file: string): Token => filePath(join(directory, file));

/**
 * Ids of servers by their names, so that another server, or another order, moves few hashes. Two names of one hash are told
 * apart in the order of names.
 */
export function serverIds(names: readonly string[]): ReadonlyMap<string, number> {
  const taken = new Set<number>();
  const ids = new Map<string, number>();
  for (const server of [...names].sort()) {
    let id = 1 + (createHash('sha256').update(server).digest().readUInt32BE(0) % (SERVER_IDS - 1));
    while (taken.has(id)) id = id === SERVER_IDS - 1 ? 1 : id + 1;
    taken.add(id);
    ids.set(server, id);
  }
  return ids;
}
