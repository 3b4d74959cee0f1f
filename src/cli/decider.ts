/**
 * Whose decisions `which` and `replay` speak of: those of a running node, with its health marks, drains and weights, or those of a
 * file, for which every backend is up. The node that runs by the file is the one that is meant, when it answers.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command, Option } from 'commander';
import { Option as CommandOption } from 'commander';
import type { Moment } from '../api/in-force.js';
import { AnyhopError } from '../core/errors.js';
import { clockTime } from '../core/time.js';
import { ask, findSocket, isNobody } from './control-client.js';
import { writeError } from './output.js';

export interface DeciderOptions {
  /** False for --no-socket, undefined when nothing was said. */
  readonly socket?: string | false;
  readonly config: string;
}

export function deciderOptions(): Option[] {
  return [
    new CommandOption(
      '--socket <path>',
      'ask the node with this control socket (default: the node that runs with the config file)',
    ),
    new CommandOption('--no-socket', 'ask no node: use the config file, with every backend up'),
  ];
}

/** What decides, as `--json` says it. */
export type State = ({ readonly from: 'node' } & Moment) | { readonly from: 'file'; readonly file: string };

/** What a node says, and over which socket. */
export interface Told<T> {
  readonly socket: string;
  readonly value: T;
}

/**
 * What the node says that is meant; undefined when the file is.
 * @param read checks what came back
 * @param socketInFile node.socket; undefined when there is no file, and the one node that runs here is meant
 * @throws AnyhopError ERR_SOCKET, Refusal: the node was named, and does not answer
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
    // No node runs, as on the machine where a file is written: nothing to speak of.
    if (!isNobody(error))
      note(`the node of this file cannot be asked: ${error.message}; this is of the file`);
  }
  return undefined;
}

/** Whether the user has named the config file, or `anyhop` has. */
export function namesConfig(command: Command): boolean {
  return command.getOptionValueSource('config') !== 'default';
}

export function describeState(state: State): string {
  if (state.from === 'file') return `file ${state.file}: every backend counts as up`;
  return `node ${state.node} at ${clockTime(state.at)}, generation ${state.generation}`;
}

function note(text: string): void {
  writeError(`anyhop: ${text}\n`);
}

/** By name or, through links, by what it is. A pipe is another one each time. */
function isSameFile(one: string, other: string): boolean {
  const [a, b] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false, bigint: true }));
  if (b?.isFile() !== true) return false;
  return resolve(one) === resolve(other) || (a !== undefined && a.dev === b.dev && a.ino === b.ino);
}
