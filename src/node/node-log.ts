/** What a running node tells of its own accord: counters once a minute, lost packets, changes of its pools, paths that are too narrow. */
import { STATES_REMEMBERED_MAX } from '../core/limits.js';
import type { LogFields, Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { clockTime } from '../core/time.js';
import type { Engine } from '../engine/contract.js';
import type { Effect, QueuedStep } from '../pool/effects.js';
import { leastMtus, narrowForIpv6, type Recipients } from '../pool/least-mtu.js';
import type { Membership } from '../pool/membership.js';
import { watchLosses } from '../underlay/losses.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import type { Forwarding } from './forwarding.js';
import { watchStrayFrames } from './stray-frames.js';

const INTERIM_COUNTERS_MS = 60_000;

/** Tells until the returned function is called. */
export function tellRegularly(
  engine: Engine,
  forwarding: Forwarding,
  macs: () => readonly Uint8Array[],
  log: Logger,
): () => void {
  const interim = setInterval(() => {
    logCounters('interim_counters', engine, forwarding, log).catch((error: unknown) => {
      log.warn({ event: 'counters_unknown', error }, `counters could not be read: ${reasonOf(error)}`);
    });
  }, INTERIM_COUNTERS_MS);
  const losses = engine.logsLosses
    ? undefined
    : watchLosses(() => engine.engineCounters(), log, { engine: engine.name });
  const stray = watchStrayFrames(engine, macs, log);
  return () => {
    clearInterval(interim);
    losses?.();
    clearInterval(stray);
  };
}

/** @param event `interim_counters` while it runs, `counters` for the final ones */
export async function logCounters(
  event: 'interim_counters' | 'counters',
  engine: Engine,
  { assembly: { numbers } }: Forwarding,
  log: Logger,
): Promise<void> {
  const counters = engine.counters();
  log.info(
    {
      event,
      engine: await engine.engineCounters(),
      verdicts: counters.verdictsByName(),
      services: counters.entriesByName('services', numbers.services.names()),
      backends: counters.entriesByName('backends', numbers.backends.names()),
    },
    event === 'counters' ? 'final counters' : 'counters so far',
  );
}

/** What IPv6 clients send at least must fit the path to each backend of an IPv6 service, with the outer headers. */
export function warnAboutNarrowPaths(
  recipients: Recipients,
  nextHop: (address: string) => NextHop | NoNextHop,
  log: Logger,
): void {
  const least = leastMtus(recipients);
  for (const pool of recipients.pools) {
    for (const { name, address } of pool.backends) {
      const hop = nextHop(address.text);
      const backend = `${pool.name}/${name}`;
      const message =
        hop.reason === undefined ? narrowForIpv6(backend, hop.mtu, least.get(address.text)) : undefined;
      if (message !== undefined) log.warn({ event: 'narrow_path', backend }, message);
    }
  }
}

/** Tells once that a pool's memory is full, until what made room is a settle time ago. */
export function logFullMemory(before: Membership, after: Membership, log: Logger): void {
  for (const [pool, { changes }] of after) {
    if (changes.droppedUntilMs === undefined || before.get(pool)?.changes.droppedUntilMs !== undefined)
      continue;
    log.warn(
      { event: 'memory_full', pool },
      `pool ${pool} was in more than ${STATES_REMEMBERED_MAX} states within a settle time: connections from the oldest may break`,
    );
  }
}

/** @param why what is in force now came into force */
export function logEffects(list: readonly Effect[], why: string, log: Logger): void {
  for (const { pool, effect, changes, step, takenBack } of list) {
    const fields = { event: 'pool_change', pool, effect, changes } as const;
    const what = changes.join('; ');
    if (effect === 'in_force') log.info(fields, `pool ${pool}: ${what} (${why})`);
    else if (effect === 'queued') logQueued(fields, what, step!, log);
    else if (effect !== 'unchanged') log.info(fields, `pool ${pool} ${effect}`);
    for (const { id, changes } of takenBack)
      log.info(
        { event: 'change_taken_back', pool, id, changes },
        `pool ${pool}: no longer waits: ${changes.join('; ')}`,
      );
  }
}

function logQueued(
  fields: LogFields & { readonly pool: string },
  what: string,
  { id, dueAtMs, waitsFor }: QueuedStep,
  log: Logger,
): void {
  const dueAt = new Date(dueAtMs).toISOString();
  const drains = waitsFor.length === 0 ? '' : ` at the latest, for ${waitsFor.join(', ')} to be drained`;
  log.info(
    { ...fields, id, dueAt, waitsFor },
    `pool ${fields.pool}: ${what}, waits until ${clockTime(dueAt)}${drains} (${id})`,
  );
}
