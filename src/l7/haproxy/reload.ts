/**
 * One reload, from the command to its outcome. HAProxy 2.6 says neither when a reload is done nor how it went, so `show proc` is
 * read until it shows a new worker, or the failure.
 *
 *     reload --> the master reads its files again (its socket refuses or resets) --> a new worker, which takes over the listening
 *                                                                                    sockets; the former one ends
 *                                                                                --> wait mode: the former worker serves on
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AnyhopError } from '../../core/errors.js';
import { HAPROXY_ANSWER_TIMEOUT_MS } from '../../core/limits.js';
import type { MasterProcess, Worker } from './master-process.js';
import type { HaproxyMessage } from './problems.js';
import type { HaproxyProcesses } from './processes.js';

export interface Reloaded {
  /** The new worker; undefined when the former one serves on. */
  readonly worker: Worker | undefined;
  /** What HAProxy said meanwhile. */
  readonly messages: readonly HaproxyMessage[];
  /** The new worker did not get the listening sockets and made its own: connections that waited at the former ones are lost. */
  readonly isTransferLost: boolean;
  readonly oldWorkers: readonly number[];
}

const LAST_WORD = /^Loading (?:success|failure)/;
const LAST_WORD_MS = 1_000;
const POLL_MS = 10;
const TRANSFER_LOST = /^Failed to get the sockets from the old process/;

/** @throws AnyhopError ERR_HAPROXY when HAProxy ends, or has not decided when time runs out */
export async function reload(master: MasterProcess, timeoutMs: number): Promise<Reloaded> {
  const before = await master.cli.processes();
  const mark = master.journal.mark();
  try {
    await master.cli.reload(timeoutMs);
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error; // the connection ends as it ends; what counts is what follows
  }
  const { worker, processes } = await master.until(() => outcome(master, before), timeoutMs);
  await lastWord(master, mark);
  // What a worker says at the same time is not about the config.
  const messages = master.journal.since(mark).filter(({ pid }) => pid === master.pid);
  return {
    worker,
    messages,
    isTransferLost: messages.some(({ text }) => TRANSFER_LOST.test(text)),
    oldWorkers: processes.oldWorkers.map(({ pid }) => pid),
  };
}

/** What HAProxy said may arrive after its answer by the socket. Not every version has a last word, so it is no error without one. */
async function lastWord({ journal }: MasterProcess, mark: number): Promise<void> {
  const deadlineMs = performance.now() + LAST_WORD_MS;
  while (performance.now() < deadlineMs && !journal.since(mark).some(({ text }) => LAST_WORD.test(text)))
    await sleep(POLL_MS);
}

interface Outcome {
  readonly worker: Worker | undefined;
  readonly processes: HaproxyProcesses;
}

/** @returns undefined as long as it is open */
async function outcome(master: MasterProcess, before: HaproxyProcesses): Promise<Outcome | undefined> {
  const processes = await master.cli.processes(HAPROXY_ANSWER_TIMEOUT_MS);
  if (processes.master.reloads <= before.master.reloads) return undefined;
  const known = new Set([...before.workers, ...before.oldWorkers].map(({ pid }) => pid));
  const fresh = processes.workers.find(({ pid, reloads }) => reloads === 0 && !known.has(pid));
  if (fresh !== undefined) return { worker: await master.serving(fresh.pid), processes };
  return processes.master.failedReloads > 0 || processes.workers.length > 0
    ? { worker: undefined, processes }
    : undefined;
}
