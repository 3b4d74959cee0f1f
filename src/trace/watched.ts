/** One probe, with the agents of its way watching: it is sent as soon as they do, or have said why they do not. */

import { setTimeout as delay } from 'node:timers/promises';
import { askAboutProbe, type ProbeQuestion, ProbeRefused, type ProbeReport } from '../agent/probe.js';
import { deferred } from '../core/deferred.js';
import { PROBE_WAIT_MS_MAX } from '../core/limits.js';

/** An agent watches few probes at a time. */
const BUSY_TRIES = 8;
const BUSY_PAUSE_MS = 250;

/** What an agent told, or why it did not. */
export type Told = ProbeReport | ProbeRefused;

export interface Watcher {
  readonly address: string;
  readonly port: number;
}

/** Sends once all agents watch. @returns the answer, and what each agent told, in their order */
export async function sendWatched<T>(
  watchers: readonly Watcher[],
  question: Omit<ProbeQuestion, 'waitMs'>,
  send: () => Promise<T>,
): Promise<{ readonly reply: T; readonly told: readonly Told[] }> {
  const done = deferred<void>();
  const watches = watchers.map((watcher) =>
    watch(watcher, { ...question, waitMs: PROBE_WAIT_MS_MAX }, done.promise),
  );
  try {
    await Promise.all(watches.map(({ begun }) => begun));
    const reply = await send();
    done.resolve();
    return { reply, told: await Promise.all(watches.map(({ told }) => told)) };
  } finally {
    done.resolve();
  }
}

function watch(
  { address, port }: Watcher,
  question: ProbeQuestion,
  done: Promise<void>,
): { readonly begun: Promise<void>; readonly told: Promise<Told> } {
  const begun = deferred<void>();
  const ask = async (): Promise<Told> => {
    for (let tries = 1; ; tries++) {
      try {
        return await askAboutProbe(address, port, question, () => begun.resolve(), done);
      } catch (error) {
        if (!(error instanceof ProbeRefused)) throw error;
        if (error.why !== 'busy' || tries === BUSY_TRIES) return error;
        await delay(BUSY_PAUSE_MS);
      }
    }
  };
  const told = ask().finally(() => begun.resolve());
  return { begun: begun.promise, told };
}
