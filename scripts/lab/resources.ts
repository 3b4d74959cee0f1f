/**
 * Everything that a lab holds in the system, and the one way in which it is given back: on close, and also when the
 * process exits by a signal, an uncaught error or process.exit.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type MountPoint, newLabName, removeNamespace } from './names.js';
import { LabProcess, STOP_TIMEOUT_MS } from './process.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Longer than a process has to end. */
const CLOSE_TIMEOUT_MS = STOP_TIMEOUT_MS + 1_000;
const TMPFS_SIZE = '256m';
const open = new Set<Resources>();

export class Resources {
  readonly name: string = newLabName();
  readonly directory: string;
  readonly #namespaces: string[] = [];
  readonly #processes: LabProcess[] = [];
  readonly #mounts = new Map<MountPoint, string>();

  constructor() {
    if (open.size === 0) watchExit();
    open.add(this);
    // Not before: a signal that came between would leave it behind.
    this.directory = mkdtempSync(join(tmpdir(), `${this.name}-`));
  }

  /** Synchronous, so that no signal can come between making a namespace and knowing of it. */
  addNamespace(role: string): string {
    const namespace = `${this.name}-${role}`;
    this.#namespaces.push(namespace);
    execFileSync('ip', ['netns', 'add', namespace]);
    return namespace;
  }

  /**
   * A BPF file system of the lab's own. It is outside of /sys, of which `ip netns exec` gives each command a fresh one, and
   * mounted before those commands start, so that they see it and what they pin outlives them.
   */
  bpffs(): string {
    return this.#mounted('bpf', []);
  }

  /** A file system in memory, for what waits for the disk with every write. */
  tmpfs(): string {
    return this.#mounted('tmpfs', ['-o', `size=${TMPFS_SIZE}`]);
  }

  #mounted(type: MountPoint, options: readonly string[]): string {
    const mounted = this.#mounts.get(type);
    if (mounted !== undefined) return mounted;
    const path = join(this.directory, type);
    mkdirSync(path);
    execFileSync('mount', ['-t', type, ...options, type, path], { stdio: 'pipe' });
    this.#mounts.set(type, path);
    return path;
  }

  /** In this process's own namespace when none is given. */
  async startProcess(
    name: string,
    namespace: string | undefined,
    argv: readonly string[],
  ): Promise<LabProcess> {
    const started = await LabProcess.start(name, namespace, argv);
    this.#processes.push(started);
    return started;
  }

  /** Ends every process in good order, then removes the rest. */
  async close(): Promise<void> {
    const ended = Promise.all(this.#processes.map((each) => each.stop()));
    // A process that was killed may leave another one that has its output; that one ends with its namespace.
    const late = new AbortController();
    await Promise.race([ended, delay(CLOSE_TIMEOUT_MS, undefined, { signal: late.signal }).catch(() => {})]);
    late.abort();
    this.closeNow();
  }

  /** The same at once and without asking; also the last step of `close`. */
  closeNow(): void {
    for (const each of this.#processes) each.kill();
    for (const namespace of this.#namespaces.splice(0)) removeNamespace(namespace);
    // Lazily: a process that was killed a moment ago may still have files open.
    for (const path of this.#mounts.values()) execFileSync('umount', ['-l', path], { stdio: 'pipe' });
    this.#mounts.clear();
    rmSync(this.directory, { recursive: true, force: true });
    open.delete(this);
    if (open.size === 0) unwatchExit();
  }
}

function watchExit(): void {
  process.on('exit', closeAll);
  for (const signal of SIGNALS) process.on(signal, exitBySignal);
}

function unwatchExit(): void {
  process.off('exit', closeAll);
  for (const signal of SIGNALS) process.off(signal, exitBySignal);
}

function closeAll(): void {
  for (const resources of open) resources.closeNow();
}

/** Exits as a shell reports a signal, 128 + its number; the exit handler does the rest. */
function exitBySignal(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal]);
}
