/**
 * One forwarder and one agent an interface: a lock that the kernel gives back when its holder dies, however that happens.
 *
 * It is an flock on a file in a directory that only the node's user and root can write. The file is named after the network namespace and
 * the interface's index, so a renamed interface keeps its lock. Processes find each other as long as they share /run, also in
 * containers.
 *
 *     /run/anyhop/run-4026531840-2.lock            forwarders, and `anyhop stop`
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

export interface InterfaceLock {
  release(): Promise<void>;
}

const DIRECTORY: Readonly<Record<LockHolder, string>> = { run: '/run/anyhop', agent: '/run/anyhop-agent' };
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
  const path = await lockPath(holder, link, run);
  const descriptor = (await take(holder, link, path, O_RDWR | O_CREAT))!;
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
  const path = await lockPath(holder, link, run);
  if (isOurs(dirname(path))) return lockInterface(holder, link, run);
  const descriptor = await take(holder, link, path, O_RDONLY);
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

async function lockPath(holder: LockHolder, link: string, run: RunTool): Promise<string> {
  const index = (await readLinks(run)).get(link)?.index ?? `gone-${link}`;
  const namespace = statSync('/proc/self/ns/net').ino;
  return join(DIRECTORY[holder], `${holder}-${namespace}-${index}.lock`);
}

/** @returns undefined when there is no such file, and none is to be made */
async function take(
  holder: LockHolder,
  link: string,
  path: string,
  flags: number,
): Promise<number | undefined> {
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
      throw cannotLock(link, dirname(path), cause as Error);
    }
    try {
      if (!(await flock(descriptor))) {
        const pid = Number.parseInt(readFileSync(descriptor, 'latin1'), 10);
        if (isAlive(pid) || tries === TRIES_MAX) throw alreadyRuns(holder, link, pid);
        await delay(RETRY_MS); // the file is just being made or cleared away
      } else if (isStill(descriptor, path)) return descriptor;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    closeSync(descriptor);
    if (tries === TRIES_MAX)
      throw cannotLock(link, dirname(path), new Error('others take and release it all the time'));
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

function alreadyRuns(holder: LockHolder, link: string, holderPid: number): AnyhopError {
  const pid = Number.isNaN(holderPid) ? '' : ` (process ${holderPid})`;
  return new InterfaceTaken(
    `another "anyhop ${holder}" runs on interface ${link}`,
    `Stop it first${pid}. It runs in this network namespace, maybe in a container that shares it: pgrep -af "anyhop ${holder}"`,
  );
}

function cannotLock(link: string, directory: string, cause: Error): AnyhopError {
  const name = directory.slice('/run/'.length);
  return new AnyhopError('ERR_INTERFACE', `interface ${link} cannot be locked: ${reasonOf(cause)}`, {
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
