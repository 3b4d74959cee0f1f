/**
 * One capture from its beginning to its end: records come from a source, those that the expression wants go to a sink, and a summary is left.
 *
 * It ends by itself: after so many packets, after so long, when the source has ended, when nobody reads what is written any more, or when it is told
 * to. While a sink cannot take more, no records are read, and the source counts those that it then loses.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Compiled } from './compile.js';
import { PacketFields } from './fields.js';
import type { CaptureNames, CaptureRecord, CaptureSource } from './record.js';
import { SNAP_MAX } from './record.js';

/** Of a wait for records: how soon an end is noticed. */
const WAIT_MS = 50;
/** For what has been recorded when the end comes. */
const GRACE_MS = 300;
/** Headers of a frame, a tunnel and a packet with options: what an expression may look at. */
const LOOKED_AT_BYTES = 256;

export interface CaptureSink {
  /** Resolves when there is room for more. @throws when it cannot be written; SinkGone when nobody reads it any more */
  write(record: CaptureRecord, wallNs: bigint, names: CaptureNames): Promise<void> | void;
  /** Once a turn: what has been written should be seen. */
  flush(): Promise<void>;
}

/** Whoever read has gone: an end like any other. */
export class SinkGone extends Error {}

export interface SessionOptions {
  readonly source: CaptureSource;
  /** Of the expression, by the first names. */
  readonly compiled: Compiled;
  /** The same by other names: backends come and go while it runs. May throw: then what was decided by before is kept. */
  readonly again?: (names: CaptureNames) => Compiled;
  readonly names: CaptureNames;
  readonly sink: CaptureSink;
  readonly sample: number;
  readonly snapLength: number;
  /** Packets. */
  readonly count: number;
  readonly forMs: number;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** It records from now on. */
  readonly begun?: () => void;
}

export interface Summary {
  readonly why: 'count' | 'time' | 'signal' | 'source' | 'reader';
  readonly startNs: bigint;
  readonly endNs: bigint;
  readonly packets: number;
  /** Of these, sent on. */
  readonly sent: number;
  readonly lost: number;
  /** As of the source. */
  readonly blindMs: number;
  /** Packets by verdict number. */
  readonly verdicts: ReadonlyMap<number, number>;
}

/** @throws whatever the source or the sink does */
export async function capture(options: SessionOptions): Promise<Summary> {
  const { source, compiled, sink, sample, snapLength, count, forMs, signal } = options;
  const offsetNs = wallOffsetNs();
  const verdicts = new Map<number, number>();
  const fields = new PacketFields();
  let { names } = options;
  let { decide } = compiled;
  let namedUntil = names.generation;
  let packets = 0;
  let sent = 0;
  let why: Summary['why'] | undefined;
  let overSinceMs: number | undefined;
  const kept = Math.min(SNAP_MAX, Math.max(snapLength, LOOKED_AT_BYTES));
  await source.arm({ ...compiled.narrow, sample, snapLength: kept });
  const startNs = process.hrtime.bigint() + offsetNs;
  options.begun?.();
  const endMs = performance.now() + forMs;
  try {
    while (why === undefined) {
      const records = await source.read(WAIT_MS);
      if (records === undefined) {
        why = 'source';
        break;
      }
      for (const record of records) {
        if (record.generation > namedUntil) {
          names = await source.names();
          namedUntil = Math.max(record.generation, names.generation); // once for each, whatever they are
          decide = decideBy(names, options) ?? decide;
        }
        if (!decide(record, fields.read(record.inBytes, 0, record.inBytes.length, source.point))) continue;
        const wait = sink.write(record, record.timeNs + offsetNs, names);
        if (wait !== undefined) await wait;
        packets++;
        if (record.outLength > 0) sent++;
        verdicts.set(record.verdict, (verdicts.get(record.verdict) ?? 0) + 1);
        if (packets === count) why = 'count';
        if (why !== undefined) break;
      }
      await sink.flush();
      // Where records always wait, and none is wanted, nothing else lets timers and signals in: leases are renewed by a timer.
      await turn();
      // What was recorded before the end is on its way.
      const isOver = signal.aborted || performance.now() >= endMs;
      if (isOver) overSinceMs ??= performance.now();
      if (overSinceMs === undefined || (records.length > 0 && performance.now() - overSinceMs < GRACE_MS))
        continue;
      why ??= signal.aborted ? 'signal' : 'time';
    }
  } catch (error) {
    if (!(error instanceof SinkGone)) throw error;
    why = 'reader';
  }
  const { lost, blindMs = 0 } = source;
  return {
    why: why ?? 'source',
    startNs,
    endNs: process.hrtime.bigint() + offsetNs,
    packets,
    sent,
    lost,
    blindMs,
    verdicts,
  };
}

function decideBy(names: CaptureNames, { again }: SessionOptions): Compiled['decide'] | undefined {
  try {
    return again?.(names).decide;
  } catch {
    return undefined; // what the expression names is gone: its numbers are not given to others
  }
}

/** From CLOCK_MONOTONIC to the time of day. */
function wallOffsetNs(): bigint {
  const wallNs = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
  return wallNs - process.hrtime.bigint();
}
