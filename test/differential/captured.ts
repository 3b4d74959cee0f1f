/**
 * The BPF program while its packets are captured: it must do the same with every frame, and tell of each what came in, what left and
 * how it was decided.
 */
import { type CaptureRecord, UNKNOWN } from '#anyhop/capture/record.js';
import { VERDICTS } from '#anyhop/core/layout.gen.js';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { ArmedProgram } from '../capture/armed.js';
import { type Frames, isForwarded, R, type Results, SKIPPED, verdictName } from './record.js';

/** By turns; a batch of a thousand fits the ring. */
const SNAP_LENGTHS = [64, 200, 1024];

export class CapturedRuns {
  readonly #program: ArmedProgram;
  #runs = 0;

  constructor(object: BpfObject) {
    this.#program = new ArmedProgram(object);
  }

  /**
   * Runs frames once more, captured.
   * @param plain what came of them without
   * @throws Error when that differs, or the records are not those of these frames
   */
  compare(frames: Frames, plain: Results, run: () => Results): void {
    const snapLength = SNAP_LENGTHS[this.#runs++ % SNAP_LENGTHS.length];
    this.#program.arm({ snapLength });
    const captured = run();
    this.#program.disarm();
    for (let i = 0; i < frames.count; i++) {
      const differs = [R.VERDICT, R.ACTION, R.LENGTH, R.SERVICE_COUNTER, R.BACKEND_COUNTER, R.BYTES].some(
        (word) => captured.get(i, word) !== plain.get(i, word),
      );
      if (differs || !captured.frame(i).equals(plain.frame(i)))
        throw new Error(
          `captured, frame ${hex(frames.frame(i))} is ${verdictName(captured.get(i, R.VERDICT))} ${hex(captured.frame(i))}, ` +
            `otherwise ${verdictName(plain.get(i, R.VERDICT))} ${hex(plain.frame(i))}`,
        );
    }
    const records = this.#program.take();
    if (this.#program.lost !== 0) throw new Error(`${this.#program.lost} records were lost`);
    let next = 0;
    for (let i = 0; i < frames.count; i++) {
      if (plain.get(i, R.VERDICT) === SKIPPED) continue;
      const problem = wrong(records.at(next++), frames.frame(i), plain, i, snapLength);
      if (problem !== undefined)
        throw new Error(`the record of frame ${i} (${hex(frames.frame(i))}): ${problem}`);
    }
    if (next !== records.length) throw new Error(`${records.length} records of ${next} frames`);
  }

  close(): void {
    this.#program.close();
  }
}

/** What a record has wrong of the frame that it is of. Results get hash, slot and key from it, for whoever knows them. */
function wrong(
  record: CaptureRecord | undefined,
  frame: Uint8Array,
  results: Results,
  index: number,
  snapLength: number,
): string | undefined {
  if (record === undefined) return 'is missing';
  const verdict = results.get(index, R.VERDICT);
  if (record.verdict !== verdict) return `says ${verdictName(record.verdict)}, not ${verdictName(verdict)}`;
  if (record.inLength !== frame.length) return `says ${record.inLength} bytes`;
  if (!equal(record.inBytes, frame.subarray(0, snapLength))) return `has ${hex(record.inBytes)} before`;
  const { action } = VERDICTS[verdict];
  const goesOn = action === 'forward' || action === 'answer';
  const left = goesOn ? results.frame(index) : new Uint8Array(0);
  if (record.outLength !== left.length) return `says that ${record.outLength} bytes left`;
  if (!equal(record.outBytes, left.subarray(0, snapLength))) return `has ${hex(record.outBytes)} after`;
  if (record.generation === 0) return 'has no generation';
  if (!isForwarded(verdict)) return undefined;
  for (const [value, word] of [
    [record.service, R.SERVICE_COUNTER],
    [record.backend, R.BACKEND_COUNTER],
  ]) {
    if (value === UNKNOWN || value !== results.get(index, word)) return `says service or backend ${value}`;
  }
  results.set(index, R.HASH, record.hash);
  results.set(index, R.SLOT, record.slot);
  results.set(index, R.KEY, record.key);
  return undefined;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
