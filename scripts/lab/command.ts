/** Short commands, run to their end without a shell; one that fails or hangs says what it was and what it printed. */
import { spawn } from 'node:child_process';

/** Some run for a second of processor time, a dozen of them at once. */
const COMMAND_TIMEOUT_MS = 30_000;
/** Of what a failed command printed and was given, an error shows the start. */
const OUTPUT_SHOWN_CHARS = 1_000;

/**
 * Runs `argv` with `input` on its standard input and resolves to its standard output. Rejects when it cannot be
 * started, ends with another code than 0 (unless it `mayFail`), or takes longer than `timeoutMs`.
 */
export function run(
  argv: readonly string[],
  {
    input = '',
    timeoutMs = COMMAND_TIMEOUT_MS,
    cwd = '.',
    mayFail = false,
  }: { input?: string; timeoutMs?: number; cwd?: string; mayFail?: boolean } = {},
): Promise<string> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: 'pipe', cwd, timeout: timeoutMs, killSignal: 'SIGKILL' });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.stdin.on('error', () => {}); // a command that ends without reading tells why by its exit code
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0 || (mayFail && code !== null)) {
        resolve(Buffer.concat(stdout).toString());
        return;
      }
      const how = signal === null ? `exit code ${code}` : `killed by ${signal} (limit ${timeoutMs} ms)`;
      const shown = `${Buffer.concat(stderr)}${input}`.slice(0, OUTPUT_SHOWN_CHARS);
      reject(new Error(`${argv.join(' ')}: ${how}\n${shown}`.trimEnd()));
    });
  });
}

/** The argument vector that runs `argv` inside a network namespace; in this process's own when none is given. */
export function inNamespace(namespace: string | undefined, argv: readonly string[]): string[] {
  return namespace === undefined ? [...argv] : ['ip', 'netns', 'exec', namespace, ...argv];
}
