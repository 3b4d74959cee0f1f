/**
 * One forwarder and one agent an interface, one announcer a routing table: a lock that the kernel gives back when its holder dies, however
 * that happens.
 *
 * It is an flock on a file in a directory that only the node's user and root can write. The file is named after the network namespace and
 * the interface's index, so a renamed interface keeps its lock. Processes find each other as long as they share /run, also in
 * containers.
 *
 *     /run/anyhop/run-4026531840-2.lock            forwarders, and `anyhop stop`
 *     /run/anyhop/announce-4026531840-179.lock     announcers, and `anyhop announce --withdraw` without one
 *     /run/anyhop-agent/agent-4026531840-2.lock    agents, and `anyhop agent --stop`
 *
 * The holder's file goes with its lock. Who has locked a file therefore looks whether it is still the one with that name.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from '../core/alive.js';
import { makeDirectory } from '../core/directory.js';
import { AnyhopError, InterfaceTaken } from '../core/errors.js';
import { requireOwnDirectory } from '../core/own-directory.js';
import { reasonOf } from '../core/reason.js';
import { type RunTool, runTool, runToolOn, toolError } from '../core/tool.js';
import { readLinks } from './link.js';

/** The command that holds a lock. */
export type LockHolder = 'run' | 'agent';

/** What is locked, and how messages speak of it. */
interface Subject {
  readonly command: LockHolder | 'announce';
  /** `interface eth0` */
  readonly text: string;
  /** Of its file. */
  readonly key: string | number;
  taken(message: string, hint: string): AnyhopError;
}

export interface InterfaceLock {
  release(): Promise<void>;
}

const DIRECTORY: Readonly<Record<Subject['command'], string>> = {
  run: '/run/anyhop',
  agent: '/run/anyhop-agent',
  announce: '/run/anyhop',
};
const DIRECTORY_MODE = 0o755;
const FILE_MODE = 0o600;
const { O_RDWR, O_CREAT, O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
/** flock(1) gets the file as this descriptor, and says by this exit code that somebody else has it. */
const INHERITED = '3';
const TAKEN = 1;
/** A holder may be just giving it back. */
const TRIES_MAX = 20;
const RETRY_MS = 10;

/** Files of the locks that this process has. */
const held = new Set<string>();

/** @throws AnyhopError ERR_INTERFACE when another process of that command has the interface, or it cannot be locked */
export async function lockInterface(
  holder: LockHolder,
  link: string,
  run: RunTool = runTool,
): Promise<InterfaceLock> {
  return lock(await interfaceSubject(holder, link, run));
}

/**
 * For the process that owns anyhop's rows of a routing table of the kernel.
 * @throws AnyhopError ERR_ROUTE when another one does, ERR_INTERFACE when it cannot be locked
 */
export function lockTable(table: number): Promise<InterfaceLock> {
  return lock(tableSubject(table));
}

/** The same for removing rows that a process left, as `lockLeftovers`. */
export function lockTableLeftovers(table: number): Promise<InterfaceLock> {
  return lockAsOther(tableSubject(table));
}

async function lock(subject: Subject): Promise<InterfaceLock> {
  const path = lockPath(subject);
  const descriptor = (await take(subject, path, O_RDWR | O_CREAT))!;
  ftruncateSync(descriptor);
  writeSync(descriptor, `${process.pid}\n`, 0);
  held.add(path);
  return {
    async release() {
      held.delete(path);
      if (isStill(descriptor, path)) unlinkSync(path);
      closeSync(descriptor);
      removeEmpty(dirname(path));
    },
  };
}

/**
 * The lock for removing what a process left. Root removes for the service's user too, and makes no file in that user's directory: without
 * a file, nobody is in charge.
 * @throws AnyhopError as `lockInterface`
 */
export async function lockLeftovers(
  holder: LockHolder,
  link: string,
  run: RunTool = runTool,
): Promise<InterfaceLock> {
  return lockAsOther(await interfaceSubject(holder, link, run));
}

async function lockAsOther(subject: Subject): Promise<InterfaceLock> {
  const path = lockPath(subject);
  if (isOurs(dirname(path))) return lock(subject);
  const descriptor = await take(subject, path, O_RDONLY);
  return {
    async release() {
      if (descriptor !== undefined) closeSync(descriptor);
    },
  };
}

/**
 * Whether another process of this command is in charge of any interface of a network namespace. Files of processes that were killed
 * are removed on the way.
 * @param namespace its inode number
 */
export async function isInCharge(holder: LockHolder, namespace: number): Promise<boolean> {
  const directory = DIRECTORY[holder];
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return false; // nobody has a lock
  }
  for (const name of names.filter((each) => each.startsWith(`${holder}-${namespace}-`))) {
    const path = join(directory, name);
    if (held.has(path)) continue;
    let descriptor: number;
    try {
      descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      return true; // another user's
    }
    try {
      if (!(await flock(descriptor))) return true;
      if (isStill(descriptor, path)) unlinkSync(path);
    } finally {
      closeSync(descriptor);
    }
  }
  return false;
}

/**
 * The process of this command that is in charge of an interface.
 * @param index of the interface
 * @returns its number, NaN when this user may not know it; undefined when there is none
 */
export async function holderOf(holder: LockHolder, index: number): Promise<number | undefined> {
  const path = lockPath({ command: holder, key: index });
  let descriptor: number;
  try {
    descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : Number.NaN;
  }
  try {
    if (await flock(descriptor)) return undefined;
    return Number.parseInt(readFileSync(descriptor, 'latin1'), 10);
  } finally {
    closeSync(descriptor);
  }
}

async function interfaceSubject(command: LockHolder, link: string, run: RunTool): Promise<Subject> {
  const key = (await readLinks(run)).get(link)?.index ?? `gone-${link}`;
  const taken = (message: string, hint: string): AnyhopError => new InterfaceTaken(message, hint);
  return { command, text: `interface ${link}`, key, taken };
}

function tableSubject(table: number): Subject {
  const taken = (message: string, hint: string): AnyhopError =>
    new AnyhopError('ERR_ROUTE', message, { hint });
  return { command: 'announce', text: `routing table ${table}`, key: table, taken };
}

function lockPath({ command, key }: Pick<Subject, 'command' | 'key'>): string {
  const namespace = statSync('/proc/self/ns/net').ino;
  return join(DIRECTORY[command], `${command}-${namespace}-${key}.lock`);
}

/** @returns undefined when there is no such file, and none is to be made */
async function take(subject: Subject, path: string, flags: number): Promise<number | undefined> {
  const isMade = (flags & O_CREAT) !== 0;
  for (let tries = 1; ; tries++) {
    let descriptor: number;
    try {
      if (isMade) prepareDirectory(dirname(path));
      descriptor = openSync(path, flags | O_NOFOLLOW | O_NONBLOCK, FILE_MODE);
    } catch (cause) {
      if (cause instanceof AnyhopError) throw cause;
      const isGone = (cause as NodeJS.ErrnoException).code === 'ENOENT';
      if (isGone && !isMade) return undefined;
      if (isGone && tries < TRIES_MAX) continue; // the last holder took the directory along
      throw cannotLock(subject, dirname(path), cause as Error);
    }
    try {
      if (!(await flock(descriptor))) {
        const pid = Number.parseInt(readFileSync(descriptor, 'latin1'), 10);
        if (isAlive(pid) || tries === TRIES_MAX) throw alreadyRuns(subject, pid);
        await delay(RETRY_MS); // the file is just being made or cleared away
      } else if (isStill(descriptor, path)) return descriptor;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    closeSync(descriptor);
    if (tries === TRIES_MAX)
      throw cannotLock(subject, dirname(path), new Error('others take and release it all the time'));
  }
}

function prepareDirectory(directory: string): void {
  requireOwnDirectory(directory, 'ERR_INTERFACE');
  makeDirectory(directory, DIRECTORY_MODE);
}

/** The lock belongs to the open file, which this process keeps. @returns false when somebody else has it */
async function flock(descriptor: number): Promise<boolean> {
  const args = ['-n', '-x', INHERITED];
  const { code, stderr } = await runToolOn(descriptor, 'flock', args);
  if (code === 0) return true;
  if (code === TAKEN && stderr === '') return false;
  throw toolError('flock', args, stderr || `exit code ${code}`);
}

/** Whether the file of a descriptor is the one that has the name now. */
function isStill(descriptor: number, path: string): boolean {
  try {
    return statSync(path).ino === fstatSync(descriptor).ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

function isOurs(directory: string): boolean {
  try {
    return statSync(directory).uid === process.geteuid?.();
  } catch {
    return true; // it is made, or why not is said
  }
}

function alreadyRuns({ command, text, taken }: Subject, holderPid: number): AnyhopError {
  const pid = Number.isNaN(holderPid) ? '' : ` (process ${holderPid})`;
  return taken(
    `another "anyhop ${command}" runs on ${text}`,
    `Stop it first${pid}. It runs in this network namespace, maybe in a container that shares it: pgrep -af "anyhop ${command}"`,
  );
}

function cannotLock({ text }: Subject, directory: string, cause: Error): AnyhopError {
  const name = directory.slice('/run/'.length);
  return new AnyhopError('ERR_INTERFACE', `${text} cannot be locked: ${reasonOf(cause)}`, {
    hint:
      `${directory} must belong to the user that runs this: RuntimeDirectory=${name} in a systemd unit, or as root: ` +
      `install -d -o ${process.geteuid?.() ?? 0} ${directory}`,
    cause,
  });
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // Others have files there, or it is not ours to remove.
  }
}
