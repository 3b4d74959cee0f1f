/**
 * What a renderer hands to the program that runs HAProxy: every file of one generation, as text, with the place in anyhop's own
 * config that caused each line. So an error of HAProxy is shown at the field that somebody wrote, not at a line that nobody did.
 */
import { dirname, join } from 'node:path';
import type { FieldPath } from '../../config/path.js';

export interface RenderedLine {
  /** Without a line end. */
  readonly text: string;
  /** The field that caused it; empty for what is the same in every config. */
  readonly at: FieldPath;
}

export interface Rendering {
  /** haproxy.cfg. */
  readonly lines: readonly RenderedLine[];
  /** The other files by their path within the generation's directory (`maps/hosts.map`): text, which may be secret. */
  readonly files: ReadonlyMap<string, string>;
}

/**
 * Makes the files of a generation. The paths in them are absolute.
 * @param directory the generation's directory, `RUN/gN`
 */
export type Render = (directory: string) => Rendering;

/** The name of a generation's main file. */
export const CONFIG_FILE = 'haproxy.cfg';

/** This HAProxy's own name among peers (`haproxy -L`): how a new worker gets the stick tables of the former one. */
export const LOCAL_PEER = 'anyhop';

/**
 * The sockets that HAProxy makes, in a directory of its own: the only place where it can write. So a worker that has been broken
 * into cannot make root write, read or remove anything else.
 */
export interface HaproxySockets {
  readonly directory: string;
  /** The master CLI. */
  readonly master: string;
  /** The local peer. */
  readonly peers: string;
}

/** @param run the run directory */
export function haproxySockets(run: string): HaproxySockets {
  const directory = join(run, 'sockets');
  return { directory, master: join(directory, 'master.sock'), peers: join(directory, 'peers.sock') };
}

/** The run directory of a generation's directory. */
export function runDirectoryOf(generation: string): string {
  return dirname(generation);
}
