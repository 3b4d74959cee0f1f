/** A program whose test runs are captured, for as long as a test takes: a machine may stand still for longer than a lease. */
import { filterBytes } from '#anyhop/capture/filter-bytes.js';
import type { CaptureFilter, CaptureRecord } from '#anyhop/capture/record.js';
import { readRecords } from '#anyhop/capture/record-bytes.js';
import { L } from '#anyhop/core/layout.gen.js';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import type { CaptureRing } from '#anyhop/ffi/capture-ring.js';
import { MappedArray } from '#anyhop/ffi/map.js';
import { CaptureMaps } from '#anyhop/pins/capture-maps.js';

export class ArmedProgram {
  readonly #ring: CaptureRing;
  readonly #map: MappedArray;
  readonly #shared: DataView;

  constructor(object: BpfObject) {
    const maps = CaptureMaps.of(object);
    this.#ring = maps.open();
    maps.close();
    this.#map = new MappedArray(object.map('.data.capture'));
    this.#shared = new DataView(this.#map.memory);
  }

  arm(filter: Partial<CaptureFilter>, testRuns = true): void {
    this.#ring.arm(filterBytes({ sample: 1, snapLength: 2048, ...filter }, testRuns));
    this.deadlineNs = 2n ** 62n;
  }

  set deadlineNs(time: bigint) {
    this.#shared.setBigUint64(L.CAPTURE_DEADLINE_NS, time, true);
  }

  get isArmed(): boolean {
    return this.#shared.getUint32(L.CAPTURE_ARMED, true) === 1;
  }

  get lost(): number {
    return this.#ring.lost();
  }

  extend(): void {
    this.#ring.extend();
  }

  /** All that is in the ring. */
  take(): CaptureRecord[] {
    const records: CaptureRecord[] = [];
    for (;;) {
      const some = readRecords(this.#ring.poll());
      if (some.length === 0) return records;
      records.push(...some);
    }
  }

  disarm(): void {
    this.#ring.disarm();
  }

  close(): void {
    this.#ring.close();
    this.#map.close();
  }
}
