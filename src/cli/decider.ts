/**
 * Finds what decides for `which` and `replay`: a running node, with its health marks, drains and weights, or a file, with every
 * backend up. A node that runs with this file decides if it answers.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Option } from 'commander';
import type { Moment } from '../api/in-force.js';
import { AnyhopError } from '../core/errors.js';
import { clockTime } from '../core/time.js';
import { ask, findSocket, isNobody } from './control-client.js';
import { writeError } from './output.js';

export interface DeciderOptions {
  /** False for --no-socket, undefined without either option. */
  readonly socket?: string | false;
  readonly config: string;
}

export function deciderOptions(): Option[] {
  return [
    new Option(
      '--socket <path>',
      'ask the node with this control socket (default: the node that runs with the config file)',
    ),
    new Option('--no-socket', 'ask no node: use the config file, with every backend up'),
  ];
}

/** What decides, in the form of `--json`. */
export type State = ({ readonly from: 'node' } & Moment) | { readonly from: 'file'; readonly file: string };

/** A node's answer, and its socket. */
export interface Told<T> {
  readonly socket: string;
  readonly value: T;
}

/**
 * The answer of the node that decides; undefined when the file decides.
 * @param read checks the answer
 * @param socketInFile node.socket; without a file undefined, which means the one node that runs here
 * @throws AnyhopError ERR_SOCKET, Refusal: the named node does not answer
 */
export async function askDecider<T extends Moment>(
  path: string,
  read: (value: unknown, from: string) => T,
  options: DeciderOptions,
  socketInFile: string | undefined,
): Promise<Told<T> | undefined> {
  const tell = async (socket: string): Promise<Told<T>> => ({
    socket,
    value: read(await ask(socket, path), socket),
  });
  if (options.socket === false) return undefined;
  if (options.socket !== undefined) return tell(options.socket);
  if (socketInFile === undefined) return tell(await findSocket());
  try {
    const told = await tell(socketInFile);
    const { node, configFile } = told.value;
    if (isSameFile(configFile, options.config)) return told;
    note(
      `node ${node} runs by ${configFile}; this is of ${options.config} (--socket ${socketInFile} asks the node)`,
    );
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    // No node runs here, for example because the file is only written here.
    if (!isNobody(error))
      note(`the node of this file cannot be asked: ${error.message}; this is of the file`);
  }
  return undefined;
}

export function describeState(state: State): string {
  if (state.from === 'file') return `file ${state.file}: every backend counts as up`;
  return `node ${state.node} at ${clockTime(state.at)}, generation ${state.generation}`;
}

export function note(text: string): void {
  writeError(`anyhop: ${text}\n`);
}

/** The same name, or through links the same file. A pipe is never the same. */
export function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false, bigint: true }));
  if (b?.isFile() !== true) return false;
  return resolve(one) === resolve(other) || (a !== undefined && a.dev === b.dev && a.ino === b.ino);
}
