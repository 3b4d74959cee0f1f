/**
 * Runs the system's programs as core/tool.ts does, for processes that live long and hold much memory: without a copy of their page tables
 * (native/lib/start.c). A node with 1,000 backends has 220 MB: `ip` takes 3 ms of its main thread in place of 15, and no page costs a
 * fault afterwards.
 */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { AnyhopError } from '../core/errors.js';
import { findProgram, TOOL_ENVIRONMENT } from '../core/program.js';
import {
  cannotStart,
  endedBy,
  type RunTool,
  runTool as runByNode,
  TOOL_TIMEOUT_MS,
  type ToolResult,
  toolError,
} from '../core/tool.js';
import { anyhopLibrary } from './library.js';

/** In what anyhop_reap returns. */
const BY_SIGNAL = 256;
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);
const ENVIRONMENT = Object.entries(TOOL_ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
/** Input that is empty: buffers have at least one byte. */
const NOTHING = Buffer.alloc(1);

interface Started {
  readonly pid: number;
  /** Called once, with what anyhop_reap said. */
  readonly ended: (status: number) => void;
}

const running = new Set<Started>();
let isListening = false;

/** Where the native library is not, which the engine portable does not need, Node starts them. */
export const runTool: RunTool = async (program, args, input = '') => {
  if (!hasLibrary()) return runByNode(program, args, input);
  const path = findProgram(program);
  if (path === undefined) throw cannotStart(program, Object.assign(new Error(), { code: 'ENOENT' }));
  const { pid, output, messages } = start(program, path, args, input);
  try {
    const status = await ended(program, pid);
    if (status < 0) throw toolError(program, args, anyhopLibrary.error());
    if (status >= BY_SIGNAL) throw endedBy(program, SIGNAL_NAMES.get(status - BY_SIGNAL) ?? null);
    return { code: status, stdout: textOf(output), stderr: textOf(messages) } satisfies ToolResult;
  } finally {
    closeSync(output);
    closeSync(messages);
  }
};

let library: boolean | undefined;

function hasLibrary(): boolean {
  if (library === undefined) {
    try {
      anyhopLibrary.error();
      library = true;
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      library = false;
    }
  }
  return library;
}

interface Files {
  readonly pid: number;
  readonly output: number;
  readonly messages: number;
}

/** @throws AnyhopError ERR_TOOL */
function start(program: string, path: string, args: readonly string[], input: string): Files {
  const words = [program, ...args, ...ENVIRONMENT];
  const bytes = Buffer.from(input);
  const files = Buffer.alloc(8);
  const pid = anyhopLibrary.attempt(
    'anyhop_start',
    path,
    Buffer.from(`${words.join('\0')}\0`),
    args.length + 1,
    ENVIRONMENT.length,
    bytes.length === 0 ? NOTHING : bytes,
    bytes.length,
    files,
  );
  if (pid < 0) throw cannotStart(program, systemError(-pid));
  return { pid, output: files.readInt32LE(0), messages: files.readInt32LE(4) };
}

function ended(program: string, pid: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      process.kill(pid, 'SIGKILL'); // it is still ours: nobody has waited for it
      reject(endedBy(program, 'SIGKILL'));
    }, TOOL_TIMEOUT_MS);
    running.add({
      pid,
      ended: (status) => {
        clearTimeout(timer);
        resolve(status);
      },
    });
    if (!isListening) process.on('SIGCHLD', look);
    isListening = true;
    look(); // it may have ended before anybody listened
  });
}

/** Signals come together: each may be of any of them. */
function look(): void {
  for (const one of running) {
    const status = anyhopLibrary.attempt('anyhop_reap', one.pid);
    if (status === -constants.errno.EAGAIN) continue;
    running.delete(one);
    one.ended(status);
  }
}

function textOf(file: number): string {
  const bytes = Buffer.alloc(fstatSync(file).size);
  let used = 0;
  while (used < bytes.length) {
    const read = readSync(file, bytes, used, bytes.length - used, used);
    if (read === 0) break;
    used += read;
  }
  return bytes.toString('utf8', 0, used);
}

function systemError(errno: number): NodeJS.ErrnoException {
  const code = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0];
  return Object.assign(new Error(anyhopLibrary.error()), { errno: -errno, code });
}
