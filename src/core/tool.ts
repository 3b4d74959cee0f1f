/**
 * Runs the system's own programs (ip, nft, ethtool) to their end: no shell, untranslated messages, a time limit. Who
 * uses one takes a `RunTool`, so that a test can stand in for the system.
 */
import { spawn } from 'node:child_process';
import { AnyhopError } from './errors.js';

export interface ToolResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves whatever the exit code is; rejects with ERR_TOOL when the program is missing or does not end. */
export type RunTool = (program: string, args: readonly string[], input?: string) => Promise<ToolResult>;

const TIMEOUT_MS = 10_000;
/** Where the programs lie; Debian leaves the sbin folders out of a user's PATH. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';
const PACKAGES: Readonly<Record<string, string>> = { ip: 'iproute2', nft: 'nftables', ethtool: 'ethtool' };

/** What the system's programs are started with. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  return { PATH: `${process.env['PATH'] ?? ''}:${SYSTEM_PATH}`, LC_ALL: 'C' };
}

export const runTool: RunTool = (program, args, input = '') =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: 'pipe',
      env: toolEnvironment(),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.stdin.on('error', () => {}); // a program that ends without reading says why by its exit code
    child.stdin.end(input);
    // Not spawn's own time limit: that one keeps the process alive when the program could not be started.
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(cannotStart(program, cause));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code !== null) resolve({ code, stdout, stderr });
      else
        reject(
          new AnyhopError('ERR_TOOL', `${program} was ended by ${signal} (time limit ${TIMEOUT_MS} ms)`),
        );
    });
  });

/** The same, where anything but exit code 0 is a failure: resolves to the standard output. */
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

function cannotStart(program: string, cause: Error): AnyhopError {
  const { code } = cause as NodeJS.ErrnoException;
  // EACCES also when it is nowhere and a folder of PATH is closed to this user.
  const isMissing = code === 'ENOENT' || code === 'EACCES';
  return new AnyhopError('ERR_TOOL', isMissing ? `the program ${program} is not there` : cause.message, {
    cause,
    ...(isMissing ? { hint: `Install it (Debian: apt-get install ${PACKAGES[program] ?? program}).` } : {}),
  });
}
