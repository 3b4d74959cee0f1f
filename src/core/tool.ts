/**
 * Runs the system's programs (ip, nft, ethtool) to their end: no shell, untranslated messages, a time limit. Callers get a
 * `RunTool`, so that a test can replace the system.
 */
import type { ChildProcess } from 'node:child_process';
import { AnyhopError } from './errors.js';
import { PROGRAM_DIRECTORIES, type ProgramOptions, startProgram } from './program.js';
import { reasonOf } from './reason.js';
import { formatDuration } from './time.js';

export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves with any exit code; rejects with ERR_TOOL when the program is missing or does not end in time. */
export type RunTool = (program: string, args: readonly string[], input?: string) => Promise<ToolResult>;

export const TOOL_TIMEOUT_MS = 10_000;
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  bridge: 'iproute2',
  ss: 'iproute2',
  ping: 'iputils-ping',
  nft: 'nftables',
  ethtool: 'ethtool',
  mount: 'mount',
  flock: 'util-linux',
  setpriv: 'util-linux',
  getent: 'libc-bin',
  gdnsdctl: 'gdnsd',
};

export const runTool: RunTool = (program, args, input = '') => runWith({}, program, args, input);

export interface ToolLimits {
  readonly timeoutMs: number;
  /** Of standard output, and of standard error; the rest is dropped. */
  readonly outputCharsMax: number;
}

/** The same with other limits. */
export function limitedTool(limits: ToolLimits): RunTool {
  return (program, args, input = '') => runWith({}, program, args, input, limits);
}

/** The same; the program gets one of this process's descriptors as its descriptor 3. */
export function runToolOn(inherited: number, program: string, args: readonly string[]): Promise<ToolResult> {
  return runWith({ inherited }, program, args, '');
}

function runWith(
  options: ProgramOptions,
  program: string,
  args: readonly string[],
  input: string,
  { timeoutMs, outputCharsMax }: ToolLimits = {
    timeoutMs: TOOL_TIMEOUT_MS,
    outputCharsMax: Number.POSITIVE_INFINITY,
  },
): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    let child: ChildProcess;
    try {
      child = startProgram(program, args, options);
    } catch (cause) {
      reject(cannotStart(program, cause as Error));
      return;
    }
    let stdout = '';
    let stderr = '';
    // Not spawn's own time limit, which keeps the process alive when the program could not be started.
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      // It may be in the kernel, where no signal gets to it, or have children that hold its streams: nobody waits for those.
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.unref();
      reject(endedBy(program, 'SIGKILL', timeoutMs));
    }, timeoutMs);
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(cannotStart(program, cause));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code !== null) resolve({ code, stdout, stderr });
      else reject(endedBy(program, signal, timeoutMs));
    });
    // Without free descriptors there are no streams, and the error comes in the next turn.
    child.stdin?.on('error', () => {}); // a program that ends without reading explains itself by its exit code
    child.stdout
      ?.setEncoding('utf8')
      .on('data', (text: string) => (stdout = (stdout + text).slice(0, outputCharsMax)));
    child.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => (stderr = (stderr + text).slice(0, outputCharsMax)));
    child.stdin?.end(input);
  });
}

/** The same, but any exit code other than 0 is a failure. Resolves to standard output. */
export async function requireTool(
  run: RunTool,
  program: string,
  args: readonly string[],
  input?: string,
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, input);
  if (code === 0) return stdout;
  throw toolError(program, args, stderr || `exit code ${code}`);
}

export function toolError(program: string, args: readonly string[], message: string): AnyhopError {
  return new AnyhopError('ERR_TOOL', `${[program, ...args].join(' ')}: ${message.trim()}`);
}

export function endedBy(
  program: string,
  signal: NodeJS.Signals | null,
  timeoutMs = TOOL_TIMEOUT_MS,
): AnyhopError {
  return new AnyhopError(
    'ERR_TOOL',
    `${program} was ended by ${signal} (time limit ${formatDuration(timeoutMs)})`,
  );
}

export function cannotStart(program: string, cause: Error): AnyhopError {
  if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
    return new AnyhopError('ERR_TOOL', `the program ${program} cannot be started: ${reasonOf(cause)}`, {
      cause,
    });
  return new AnyhopError('ERR_TOOL', `the program ${program} is missing`, {
    cause,
    hint:
      `Install it (Debian: apt-get install ${PACKAGES[program] ?? program}). ` +
      `anyhop looks for it in ${PROGRAM_DIRECTORIES.join(', ')}.`,
  });
}
