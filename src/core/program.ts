/**
 * The system's programs, by absolute paths from a fixed list of directories. Neither PATH nor the working directory decides what
 * runs with this process's privileges.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { isAbsolute, join } from 'node:path';

export const PROGRAM_DIRECTORIES: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
];

/** Of every program that is started: untranslated messages. */
export const TOOL_ENVIRONMENT = { PATH: PROGRAM_DIRECTORIES.join(':'), LC_ALL: 'C' } as const;

/** The path of a program, by name or absolute path; undefined when it does not exist. */
export function findProgram(name: string): string | undefined {
  const paths = isAbsolute(name) ? [name] : PROGRAM_DIRECTORIES.map((directory) => join(directory, name));
  return paths.find(isExecutable);
}

export interface ProgramOptions {
  /** Starts it in its own session: signals from the terminal do not reach it. */
  readonly detached?: boolean;
  /** A descriptor of this process that becomes its descriptor 3. */
  readonly inherited?: number;
  /** Its standard streams; pipes to this process by default. */
  readonly stdio?: StdioOptions;
}

/**
 * Starts a program. Later failures, also a lack of descriptors, arrive as the child's `error` event; its streams
 * may be missing then.
 * @throws Error ENOENT when there is no such program; any other error of the system at the start
 */
export function startProgram(
  name: string,
  args: readonly string[],
  { detached = false, inherited, stdio = 'pipe' }: ProgramOptions = {},
): ChildProcess {
  const path = findProgram(name);
  if (path === undefined) throw Object.assign(new Error(`spawn ${name} ENOENT`), { code: 'ENOENT' });
  return spawn(path, args, {
    stdio: inherited === undefined ? stdio : ['pipe', 'pipe', 'pipe', inherited],
    env: TOOL_ENVIRONMENT,
    detached,
  });
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
