/**
 * Tells of changes in the kernel's links, addresses, routes, rules and neighbours, by `ip monitor`. Its lines are only triggers to read
 * the tables; what they say of links is told at once.
 *
 * It must not outlive this process, and would notice a closed output only at its next line. So a shell starts it, waits for the end of
 * its own standard input, which closes when this process dies, and then ends it. Both have their own session: Ctrl-C does not reach
 * them.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { findProgram, startProgram } from '../core/program.js';
import { reasonOf } from '../core/reason.js';
import { type SeenLink, seenLink } from './seen-link.js';

/** What changed: only neighbours, which is frequent and cheap to read, or anything else. */
export type Change = 'neighbours' | 'anything';

export interface Monitor {
  /** Resolves when the processes have ended. */
  close(): Promise<void>;
}

export interface MonitorListener {
  changed(what: Change): void;
  /** What is said of a link, ahead of `changed`. */
  sawLink?(seen: SeenLink): void;
  /** It ended by itself and is started again soon: whatever happens in between is not told. */
  lost(why: string): void;
}

export type StartMonitor = (listener: MonitorListener) => Monitor;

// The shell must not keep the output open: its end tells that `ip` has ended.
const SCRIPT = '"$@" & exec >&- 2>&-; read -r _; kill $!';
const OBJECTS = ['link', 'address', 'route', 'neigh', 'rule', 'nexthop'];
/** But for an entry without an IP address that is there for good: a MAC address that a card takes from now on. */
const NEIGHBOUR = /^\[NEIGH\](?!(Deleted )?dev \S+ lladdr \S+ .*NOARP PERMANENT)/;
const RESTART_DELAY_MS = 1_000;
/** It does not say when it listens, which takes some milliseconds: what it missed until then is told of by this time. */
const LISTENING_MS = 250;

/** Watches this network namespace, or by `ip -n NAME` another one. Does not keep this process alive. */
export function startMonitor(listener: MonitorListener, ip: readonly string[] = ['ip']): Monitor {
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let child: ChildProcess | undefined;
  let ended: Promise<void>;
  const start = (): void => {
    timer = setTimeout(() => listener.changed('anything'), LISTENING_MS).unref();
    let followed: Promise<string>;
    try {
      child = startWatching(ip);
      followed = follow(child, listener);
    } catch (error) {
      child = undefined;
      followed = Promise.resolve(reasonOf(error));
    }
    ended = followed.then((why) => {
      if (isClosed) return;
      clearTimeout(timer);
      listener.lost(why);
      timer = setTimeout(start, RESTART_DELAY_MS).unref();
    });
  };
  start();
  return {
    close() {
      isClosed = true;
      clearTimeout(timer);
      child?.ref();
      if (child !== undefined) endGroup(child);
      return ended;
    },
  };
}

/** @throws Error when the system refuses at once; anything later is the child's `error` event */
function startWatching([ip = 'ip', ...options]: readonly string[]): ChildProcess {
  const watch = [findProgram(ip) ?? ip, ...options, 'monitor', 'label', ...OBJECTS];
  return startProgram('sh', ['-c', SCRIPT, 'sh', ...watch], { detached: true });
}

/** Passes on what `ip` says; resolves to its last words when it and the shell have ended, or could not start. */
async function follow(child: ChildProcess, listener: MonitorListener): Promise<string> {
  let complaint = 'it ended';
  const exited = once(child, 'exit').catch((error: Error) => {
    complaint = reasonOf(error);
  });
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout || !stderr) {
    await exited; // no descriptors were left for the pipes
    return complaint;
  }
  child.unref();
  for (const stream of [stdin, stdout, stderr]) (stream as Socket).unref();
  createInterface({ input: stdout }).on('line', (line) => {
    const seen = seenLink(line);
    if (seen !== undefined) listener.sawLink?.(seen);
    listener.changed(NEIGHBOUR.test(line) ? 'neighbours' : 'anything');
  });
  // It also says here that the kernel had more to tell than it could take, and goes on.
  createInterface({ input: stderr }).on('line', (line) => {
    complaint = line;
    listener.changed('anything');
  });
  stdin.on('error', () => {}); // it may have ended before this end was closed
  await Promise.race([once(stdout, 'close'), exited]);
  endGroup(child);
  await exited;
  return complaint;
}

/** Ends the shell and what it started; fine when they have ended. */
function endGroup(child: ChildProcess): void {
  child.stdin?.destroy();
  child.stdout?.destroy();
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
