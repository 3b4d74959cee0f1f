/**
 * Word of changes in the kernel's links, addresses, routes, rules and neighbours: `ip monitor`, run for as long as it is
 * needed. Its lines are triggers only; who wants to know reads the tables.
 *
 * It must not outlive this process, however that ends, and by itself it would notice a closed output only when it has
 * something to say. So a shell stands in between that waits for the end of its standard input, which a dead process
 * cannot keep open, and then ends it. The two have a session of their own: a Ctrl-C in the terminal is not for them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { toolEnvironment } from '../core/tool.js';

/** What changed: neighbours alone, which is frequent and cheap to read, or anything else. */
export type Change = 'neighbours' | 'anything';

export interface Monitor {
  /** Resolves when the processes have ended. */
  close(): Promise<void>;
}

export interface MonitorListener {
  changed(what: Change): void;
  /** It ended by itself and is started again soon: whatever happens in between is not told. */
  lost(why: string): void;
}

export type StartMonitor = (listener: MonitorListener) => Monitor;

// The shell must not keep the output open: its end tells that `ip` has ended.
const SCRIPT = '"$@" & exec >&- 2>&-; read -r _; kill $!';
const OBJECTS = ['link', 'address', 'route', 'neigh', 'rule', 'nexthop'];
const RESTART_DELAY_MS = 1_000;
/** It does not say when it listens, which takes some milliseconds: what it missed until then is told of by this time. */
const LISTENING_MS = 250;

/** Watches this network namespace, or by `ip -n NAME` another one. Does not keep this process alive. */
export function startMonitor(listener: MonitorListener, ip: readonly string[] = ['ip']): Monitor {
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let child: ChildProcess;
  let ended: Promise<void>;
  const start = (): void => {
    child = spawn('sh', ['-c', SCRIPT, 'sh', ...ip, 'monitor', 'label', ...OBJECTS], {
      stdio: 'pipe',
      env: toolEnvironment(),
      detached: true,
    });
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as Socket).unref();
    timer = setTimeout(() => listener.changed('anything'), LISTENING_MS).unref();
    ended = follow(child, listener).then((why) => {
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
      child.ref();
      endGroup(child);
      return ended;
    },
  };
}

/** Passes on what `ip` says; resolves to its last words when it and the shell have ended. */
async function follow(child: ChildProcess, listener: MonitorListener): Promise<string> {
  let complaint = 'it ended';
  createInterface({ input: child.stdout! }).on('line', (line) =>
    listener.changed(line.startsWith('[NEIGH]') ? 'neighbours' : 'anything'),
  );
  // It also says here that the kernel had more to tell than it could take, and goes on.
  createInterface({ input: child.stderr! }).on('line', (line) => {
    complaint = line;
    listener.changed('anything');
  });
  child.stdin!.on('error', () => {}); // it may have ended before this end was closed
  const exited = once(child, 'exit').catch((error: Error) => {
    complaint = error.message;
  });
  await Promise.race([once(child.stdout!, 'close'), exited]);
  endGroup(child);
  await exited;
  return complaint;
}

/** Ends the shell and what it started; fine when they have ended. */
function endGroup(child: ChildProcess): void {
  child.stdin!.destroy();
  child.stdout!.destroy();
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
