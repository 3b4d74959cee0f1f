/** Which `anyhop announce` a command means, and how it is asked. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { AnnounceStatus } from '../announce/status.js';
import { announcerSocketOf } from '../config/announce/resolve.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { ask, isNobody, tell } from './control-client.js';
import { type ConfigOptions, loadFor, type NodeOptions, type StateOptions } from './options.js';

export interface AnnounceOptions extends ConfigOptions, Pick<NodeOptions, 'name'>, StateOptions {
  readonly json?: true;
}

/**
 * @param servesRegions whether the files of announce.certificate and announce.ca_file are read: those who only ask may not be allowed to
 * @throws ConfigError with every problem
 */
export function loadAnnounce(options: AnnounceOptions, servesRegions = false): LoadedConfig<'announce'> {
  const { config, name, stateDir } = options;
  const from = { config, ...(name !== undefined && { name }), ...(stateDir !== undefined && { stateDir }) };
  return loadFor('announce', from, { servesRegions });
}

/** @throws AnyhopError ERR_SOCKET without an answer, or when something else answers; Refusal */
export function askAnnouncer(socket: string): Promise<AnnounceStatus> {
  return statusFrom(socket, ask(socket, '/announce/status'));
}

async function statusFrom(socket: string, asked: Promise<unknown>): Promise<AnnounceStatus> {
  const answer = await asked.catch((error: unknown) => {
    throw explained(socket, error);
  });
  if (isAnnounceStatus(answer)) return answer;
  throw new AnyhopError('ERR_SOCKET', `what answers on ${socket} is no "anyhop announce" of this version`, {
    exitCode: EXIT.failure,
    hint: 'Restart "anyhop announce", if it is another version, or name the config with -c and the node with --name.',
  });
}

/** `POST path`, which answers with the status then. @throws as `askAnnouncer` */
export async function tellAnnouncer(socket: string, path: string, value: object): Promise<AnnounceStatus> {
  return statusFrom(socket, tell(socket, path, value));
}

/** Whether an error means that no announcer runs. */
export function isNoAnnouncer(error: unknown): boolean {
  return error instanceof AnyhopError && error.code === 'ERR_SOCKET' && isNobody(error);
}

function explained(socket: string, error: unknown): unknown {
  if (!isNoAnnouncer(error)) return error;
  return new AnyhopError('ERR_SOCKET', `no "anyhop announce" answers on ${socket}`, {
    exitCode: EXIT.failure,
    hint: 'Start it on this host, or name the config with -c and the node with --name.',
    cause: (error as AnyhopError).cause,
  });
}

/** Whether it can be shown; another program may answer on the socket. */
function isAnnounceStatus(answer: unknown): answer is AnnounceStatus {
  const { heard, vips } = (answer ?? {}) as Partial<AnnounceStatus>;
  return Array.isArray(heard?.reasons) && Array.isArray(vips);
}

/** What the announcer of a node says; or the socket that one left which was killed. */
export type Beside = { readonly status: AnnounceStatus } | { readonly left: string };

/**
 * @param nodeSocket its own is beside it, or where it is by default, or where ANYHOP_CONFIG says
 * @returns undefined when there is none
 */
export async function announcerBeside(node: string, nodeSocket: string): Promise<Beside | undefined> {
  const file = process.env['ANYHOP_CONFIG'];
  const byName = announcerSocketOf(node);
  const named = file ? socketIn(file) : undefined;
  let left: string | undefined;
  for (const socket of new Set([
    ...(named ? [named] : []),
    join(dirname(nodeSocket), basename(byName)),
    byName,
  ])) {
    if (!existsSync(socket)) continue;
    try {
      const status = await ask(socket, '/announce/status');
      // Another program may answer there: the node is shown all the same.
      if (isAnnounceStatus(status) && status.node === node) return { status };
    } catch (error) {
      // Otherwise it is shown without.
      if (isNoAnnouncer(error)) left ??= socket;
    }
  }
  return left === undefined ? undefined : { left };
}

function socketIn(config: string): string | undefined {
  try {
    return loadAnnounce({ config }).place.socket;
  } catch {
    return undefined; // a mistake in the file must not hide the node
  }
}
