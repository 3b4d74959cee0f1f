/**
 * Looks at packets on their way through a pipeline, and records those that a filter wants. It is there only while somebody captures: an engine
 * calls the pipeline itself otherwise.
 *
 * A pipeline overwrites the packet, so its start is kept before. Looking costs several times what forwarding does, so it has a bound for each tick:
 * what comes beyond it is forwarded at once, and counted as lost, because nobody knows whether it was wanted.
 */

import { PacketFields } from '../../capture/fields.js';
import { FilterMatch } from '../../capture/filter-match.js';
import { type CaptureFilter, UNKNOWN, UNKNOWN_SLOT } from '../../capture/record.js';
import {
  outOffset,
  RECORD_HEADER_BYTES,
  recordBytes,
  writeRecordHeader,
} from '../../capture/record-bytes.js';
import { L } from '../../core/layout.gen.js';
import { CAPTURE_LOOKS_PER_TICK } from '../../core/limits.js';
import type { Pipeline } from '../../forward/pipeline.js';
import type { RecordRing } from './ring.js';

/** The last verdicts that forward, and that leave a frame to be sent. */
const FORWARDED_LAST = L.V_FORWARDED_ICMP_ERROR;
const SENT_LAST = L.V_SYN_COOKIE_ANSWERED;
const QUEUE_SHIFT = 48n;

export class Tap {
  readonly #pipeline: Pipeline;
  readonly #ring: RecordRing;
  readonly #match: FilterMatch;
  readonly #queue: number;
  readonly #before: Uint8Array;
  readonly #fields = new PacketFields();
  #untilSample = 1;
  #tick = -1;
  #looks = 0;
  #records = 0n;

  /** @param queue tells the records of one ring from those of others: 0 to 65535 */
  constructor(pipeline: Pipeline, ring: RecordRing, filter: CaptureFilter, queue: number) {
    this.#pipeline = pipeline;
    this.#ring = ring;
    this.#match = new FilterMatch(filter);
    this.#queue = queue;
    this.#before = new Uint8Array(filter.snapLength);
  }

  /** As those of the pipeline. */
  get outStart(): number {
    return this.#pipeline.outStart;
  }

  get outLength(): number {
    return this.#pipeline.outLength;
  }

  /** As `Pipeline.process`. */
  process(view: DataView, start: number, length: number): number {
    const pipeline = this.#pipeline;
    if (--this.#untilSample > 0) return pipeline.process(view, start, length);
    this.#untilSample = this.#match.sample;
    if (!this.#mayLook(pipeline.tick)) return pipeline.process(view, start, length);
    const before = this.#before;
    const inSnap = Math.min(length, before.length);
    before.set(bytesOf(view, start, inSnap));
    const verdict = pipeline.process(view, start, length);
    if (!this.#match.wantsVerdict(verdict)) return verdict;
    const backend = verdict <= FORWARDED_LAST ? pipeline.backendCounter : UNKNOWN;
    if (!this.#match.wants(this.#fields.read(before, 0, inSnap, 'forwarder'), backend)) return verdict;
    this.#record(view, length, inSnap, verdict);
    return verdict;
  }

  #mayLook(tick: number): boolean {
    if (tick !== this.#tick) {
      this.#tick = tick;
      this.#looks = 0;
    }
    if (this.#looks < CAPTURE_LOOKS_PER_TICK) {
      this.#looks++;
      return true;
    }
    this.#ring.lose();
    return false;
  }

  #record(view: DataView, inLength: number, inSnap: number, verdict: number): void {
    const ring = this.#ring;
    const {
      outStart,
      outLength: length,
      serviceCounter,
      backendCounter,
      slot,
      hash,
      key,
      image,
    } = this.#pipeline;
    const isForwarded = verdict <= FORWARDED_LAST;
    const outLength = verdict <= SENT_LAST ? length : 0;
    const outSnap = Math.min(outLength, this.#before.length);
    const bytes = recordBytes(inSnap, outSnap);
    const at = ring.reserve(bytes);
    if (at < 0) return;
    this.#records++;
    writeRecordHeader(ring.view, at, {
      id: (BigInt(this.#queue) << QUEUE_SHIFT) | this.#records,
      timeNs: process.hrtime.bigint(),
      cpu: this.#queue,
      verdict,
      service: isForwarded ? serviceCounter : UNKNOWN,
      backend: isForwarded ? backendCounter : UNKNOWN,
      slot: isForwarded ? slot : UNKNOWN_SLOT,
      hash: isForwarded ? hash >>> 0 : 0,
      key: isForwarded ? key >>> 0 : 0,
      generation: image.generation,
      inLength,
      inSnap,
      outLength,
      outSnap,
    });
    ring.bytes.set(
      inSnap === this.#before.length ? this.#before : this.#before.subarray(0, inSnap),
      at + RECORD_HEADER_BYTES,
    );
    ring.bytes.set(bytesOf(view, outStart, outSnap), at + outOffset(inSnap));
    ring.commit(bytes);
  }
}

function bytesOf({ buffer, byteOffset }: DataView, start: number, length: number): Uint8Array {
  return new Uint8Array(buffer, byteOffset + start, length);
}
