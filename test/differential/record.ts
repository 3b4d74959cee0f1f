/**
 * What a pipeline made of a batch of frames: a record a frame, and the resulting frames one after the other. The same for
 * all three, so that comparing is comparing words and bytes; C writes it as struct anyhop_dev_record.
 */
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';

/** Words of a record (native/dev/differential.h). */
export const R = {
  VERDICT: 0,
  /** XDP action (linux/bpf.h). */
  ACTION: 1,
  /** Of the resulting frame: sent, or passed; 0 when it was dropped. */
  LENGTH: 2,
  /** Counters that were fed, NONE for none; IP bytes that they were fed with. */
  SERVICE_COUNTER: 3,
  BACKEND_COUNTER: 4,
  BYTES: 5,
  // How it was decided: of these the BPF program tells hash, slot and key, to those who capture (captured.ts).
  L2_LENGTH: 6,
  HASH: 7,
  SLOT: 8,
  BACKEND: 9,
  KEY: 10,
  INTERFACE_INDEX: 11,
  /** 1 for a packet that took the lane; from the C pipeline only. */
  BY_LANE: 12,
} as const;
export const RECORD_WORDS = 13;

/** Instead of a verdict: this frame cannot be given to this pipeline. */
export const SKIPPED = 0xffffffff;
/** Instead of a verdict: the number of counters that rose is not what one packet may raise. */
export const MISCOUNTED = 0xfffffffe;

export const XDP_ACTIONS = ['aborted', 'drop', 'pass', 'tx', 'redirect'] as const;
export const ACTION = { DROP: 1, PASS: 2, TX: 3, REDIRECT: 4 } as const;

const FORWARDED_LAST = L.V_FORWARDED_ICMP_ERROR;

/** Frames in one flat memory, as C reads them. */
export class Frames {
  readonly count: number;
  readonly bytes: Buffer;
  /** Length of each, as words. */
  readonly lengths: Uint32Array<ArrayBuffer>;
  readonly starts: Uint32Array<ArrayBuffer>;
  /** The time of each, in units of defence's. */
  readonly nows: Uint32Array<ArrayBuffer>;

  constructor(frames: readonly Uint8Array[], nows?: Uint32Array<ArrayBuffer>) {
    this.nows = nows ?? new Uint32Array(frames.length);
    this.count = frames.length;
    this.lengths = Uint32Array.from(frames, (frame) => frame.length);
    this.starts = new Uint32Array(frames.length);
    let total = 0;
    for (const [i, frame] of frames.entries()) {
      this.starts[i] = total;
      total += frame.length;
    }
    this.bytes = Buffer.alloc(Math.max(1, total)); // the foreign-function interface takes no empty buffer
    for (const [i, frame] of frames.entries()) this.bytes.set(frame, this.starts[i]);
  }

  frame(index: number): Uint8Array {
    return this.bytes.subarray(this.starts[index], this.starts[index] + this.lengths[index]);
  }
}

export class Results {
  readonly words: Uint32Array<ArrayBuffer>;
  /** Resulting frames; each may be longer than what came in by outer headers or by the message around a quote. */
  readonly out: Buffer;
  readonly count: number;
  #starts: Uint32Array | undefined;

  constructor(frames: Frames) {
    this.count = frames.count;
    this.words = new Uint32Array(frames.count * RECORD_WORDS);
    this.out = Buffer.alloc(frames.bytes.length + frames.count * L.HEADROOM);
  }

  get(index: number, word: number): number {
    return this.words[index * RECORD_WORDS + word];
  }

  set(index: number, word: number, value: number): void {
    this.words[index * RECORD_WORDS + word] = value;
  }

  /** Records as bytes, to be written by C. */
  get records(): Buffer {
    return Buffer.from(this.words.buffer);
  }

  frame(index: number): Buffer {
    if (this.#starts === undefined) {
      this.#starts = new Uint32Array(this.count);
      for (let i = 1; i < this.count; i++) this.#starts[i] = this.#starts[i - 1] + this.get(i - 1, R.LENGTH);
    }
    const start = this.#starts[index];
    return this.out.subarray(start, start + this.get(index, R.LENGTH));
  }
}

export function isForwarded(verdict: number): boolean {
  return verdict <= FORWARDED_LAST;
}

export function verdictName(verdict: number): string {
  if (verdict === SKIPPED) return 'skipped';
  if (verdict === MISCOUNTED) return 'counted more or less than one packet';
  return VERDICTS[verdict]?.name ?? `no verdict: ${verdict}`;
}
