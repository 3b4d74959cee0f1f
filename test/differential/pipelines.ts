/**
 * The three pipelines behind one interface: the TypeScript one, the C one compiled for this machine, and the C one compiled
 * for BPF and run by the kernel (BPF_PROG_TEST_RUN). C takes whole batches, since a call costs microseconds.
 */
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import type { ForwardSizes } from '#anyhop/engine/maps/sizes.js';
import type { Descriptor } from '#anyhop/ffi/descriptor.js';
import { guardBytes } from '#anyhop/forward/guard-state.js';
import { Lists } from '#anyhop/forward/lists.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import type { Image } from '#anyhop/image/read.js';
import { FORWARD_PROGRAM, Forwarder } from '../../scripts/native/forwarder.js';
import { devLibrary } from '../../scripts/native/object.js';
import { CapturedRuns } from './captured.js';
import { LOOPBACK, SAME_INTERFACE } from './recipe.js';
import { ACTION, type Frames, isForwarded, R, Results } from './record.js';
import { LISTED } from './rules.js';

export interface Subject {
  readonly name: 'TypeScript' | 'C' | 'C without lanes' | 'BPF';
  publish(image: Image): void;
  /**
   * Runs a batch through the live image. Nothing has been counted by rules of defence before.
   *
   * @param limited whether each frame finds the budgets of answers as those before it left them; otherwise each finds
   *   them unused
   */
  run(frames: Frames, limited?: boolean): Results;
  /** What rules counted in the last run. */
  readonly guarded: Guarded;
  close(): void;
}

/** What rules of defence count, beside what they decide: the state, and counts by service. */
export interface Guarded {
  readonly state: Buffer;
  /** struct anyhop_guarded each. */
  readonly own: Buffer;
}

/** The fleet's clock at a time of rules, in a test: native/dev/differential.h has it too. Four units an epoch of cookies. */
const fleetMsAt = (now: number): number => now * 4096 + 0x1234567;
/** For C. */
const LISTS = Buffer.from(new Uint8Array(LISTED));

/** Room in the memory that rules count in. */
const SERVICES = 512;

/** The tick that a batch begins with, for the pipelines that are told the time. */
const TICK = 1;
/** After so long, whatever was asked and answered before counts no more: native/dev/differential.h has it too. */
const UNUSED_TICKS = 1031;

export class TypeScriptSubject implements Subject {
  readonly name = 'TypeScript';
  #pipeline: Pipeline | undefined;

  publish(image: Image): void {
    this.#pipeline = new Pipeline(image); // counters start from zero, as those of the others
    this.#pipeline.lists = new Lists(LISTED);
  }

  run(frames: Frames, limited = false): Results {
    const pipeline = this.#pipeline!;
    const results = new Results(frames);
    pipeline.tick = TICK;
    pipeline.limiter.fill(0);
    pipeline.guardState.fill(0);
    pipeline.synsPending.fill(0);
    pipeline.counters.guarded.fill(0);
    let out = 0;
    for (let i = 0; i < frames.count; i++) {
      const length = frames.lengths[i];
      // Memory that ends right behind the frame: any read beyond it throws.
      const memory = new Uint8Array(L.HEADROOM + length).fill(0xa5, 0, L.HEADROOM);
      memory.set(frames.frame(i), L.HEADROOM);
      pipeline.now = frames.nows[i] | 0;
      pipeline.fleetMs = fleetMsAt(frames.nows[i]);
      const verdict = pipeline.process(new DataView(memory.buffer), L.HEADROOM, length);
      if (!limited) pipeline.tick += UNUSED_TICKS;
      results.set(i, R.VERDICT, verdict);
      const forwarded = isForwarded(verdict);
      const wayOut = forwarded ? this.#wayOut(pipeline) : SAME_INTERFACE;
      results.set(i, R.ACTION, xdpAction(verdict, wayOut));
      results.set(i, R.SERVICE_COUNTER, forwarded ? pipeline.serviceCounter : L.NONE);
      results.set(i, R.BACKEND_COUNTER, forwarded ? pipeline.backendCounter : L.NONE);
      if (forwarded) {
        results.set(i, R.BYTES, pipeline.end - pipeline.l3);
        results.set(i, R.HASH, pipeline.hash);
        results.set(i, R.SLOT, pipeline.slot);
        results.set(i, R.BACKEND, pipeline.backend);
        results.set(i, R.KEY, pipeline.key);
        results.set(i, R.INTERFACE_INDEX, wayOut);
      }
      const { action } = VERDICTS[verdict];
      if (action === 'drop') continue;
      const sent = action !== 'pass';
      const start = sent ? pipeline.outStart : L.HEADROOM;
      const size = sent ? pipeline.outLength : length;
      if (sent) results.set(i, R.L2_LENGTH, pipeline.outL2);
      results.set(i, R.LENGTH, size);
      results.out.set(memory.subarray(start, start + size), out);
      out += size;
    }
    return results;
  }

  get guarded(): Guarded {
    const { guardState, guarded, synsPending } = this.#pipeline!;
    const own = Buffer.alloc((guarded.length * 8) | 0);
    for (const [i, count] of guarded.entries()) own.writeBigUInt64LE(BigInt(count), i * 8);
    for (let counter = 0; counter < synsPending.length / 2; counter++) {
      const at = counter * L.SIZEOF_GUARDED + L.GUARDED_SYN_UNIT;
      own.writeInt32LE(synsPending[counter * 2 + 1], at);
      own.writeInt32LE(synsPending[counter * 2], at + 4);
    }
    return { state: Buffer.from(guardState.buffer), own };
  }

  /** The totals so far, by what this pipeline counted itself. */
  get counters(): Pipeline['counters'] {
    return this.#pipeline!.counters;
  }

  close(): void {}

  /** Index of the interface that it leaves by; SAME_INTERFACE for the one that it came in on. */
  #wayOut(pipeline: Pipeline): number {
    const { words, pathWord } = pipeline.image;
    const path = pathWord + pipeline.backend * (L.SIZEOF_PATH / 4);
    return words[path + L.PATH_INTERFACE_INDEX / 4];
  }
}

/** What an XDP program does with it: sends it where it came in, or elsewhere. */
function xdpAction(verdict: number, wayOut: number): number {
  const { action } = VERDICTS[verdict];
  if (action === 'drop') return ACTION.DROP;
  if (action === 'pass') return ACTION.PASS;
  return wayOut === SAME_INTERFACE || wayOut === LOOPBACK ? ACTION.TX : ACTION.REDIRECT;
}

export class HostSubject implements Subject {
  readonly name: 'C' | 'C without lanes';
  #image: Buffer = Buffer.alloc(1);
  readonly guarded = {
    state: Buffer.alloc(guardBytes(SERVICES)),
    own: Buffer.alloc(SERVICES * L.SIZEOF_GUARDED),
  };

  /** @param withLanes without them, every packet takes the long way, which knows all the rules */
  constructor(withLanes = true) {
    this.name = withLanes ? 'C' : 'C without lanes';
  }

  publish(image: Image): void {
    this.#image = Buffer.from(image.bytes);
    if (this.name === 'C without lanes') removeLanes(this.#image);
  }

  run(frames: Frames, limited = false): Results {
    const results = new Results(frames);
    devLibrary.call(
      'ERR_NATIVE',
      'anyhop_dev_process',
      this.#image,
      this.#image.length,
      frames.bytes,
      Buffer.from(frames.lengths.buffer),
      frames.count,
      Buffer.from(frames.nows.buffer),
      TICK,
      limited ? 1 : 0,
      LISTS,
      LISTS.length,
      this.guarded.state.fill(0),
      this.guarded.own.fill(0),
      SERVICES,
      results.records,
      results.out,
      results.out.length,
    );
    return results;
  }

  close(): void {}
}

/** Frees every lane's place. */
function removeLanes(image: Buffer): void {
  const from = image.readUInt32LE(L.HEADER_LANES + L.LANES_OFFSET4);
  image.fill(0xff, from, image.readUInt32LE(L.HEADER_NAMES_OFFSET));
}

export class BpfSubject implements Subject {
  readonly name = 'BPF';
  readonly #forwarder: Forwarder;
  readonly #program: Descriptor;
  readonly #captured: CapturedRuns;
  readonly #state: Buffer;
  readonly #own: Buffer;

  /** Loads the program with room for images and counters of these sizes. Needs root. @throws AnyhopError ERR_BPF */
  constructor(sizes: ForwardSizes) {
    this.#forwarder = new Forwarder({ ...sizes, lists: LISTS.length });
    const { counters, object } = this.#forwarder;
    this.#program = object.program(FORWARD_PROGRAM);
    this.#captured = new CapturedRuns(object);
    this.#state = Buffer.from(object.memory('guard'));
    new Uint8Array(object.memory('lists')).set(LISTS);
    this.#own = Buffer.alloc(sizes.services * L.SIZEOF_GUARDED);
    devLibrary.call(
      'ERR_BPF',
      'anyhop_dev_watch',
      this.#program.fd,
      Buffer.from(counters.memory),
      Buffer.from(object.memory('limiter')),
      this.#state,
      counters.elementBytes,
      counters.elements,
      sizes.services,
      sizes.backends,
    );
  }

  publish(image: Image): void {
    this.#forwarder.publish(image);
  }

  /** Where limits do not last, twice: the second time its packets are captured, and what is recorded of them is right. */
  run(frames: Frames, limited = false): Results {
    const results = this.#run(frames, limited);
    if (!limited) this.#captured.compare(frames, results, () => this.#run(frames, limited));
    return results;
  }

  #run(frames: Frames, limited: boolean): Results {
    const results = new Results(frames);
    devLibrary.call(
      'ERR_BPF',
      'anyhop_dev_run',
      frames.bytes,
      Buffer.from(frames.lengths.buffer),
      frames.count,
      Buffer.from(frames.nows.buffer),
      limited ? 1 : 0,
      this.#own,
      results.records,
      results.out,
      results.out.length,
    );
    return results;
  }

  /** Without its clock, which stands still. */
  get guarded(): Guarded {
    return { state: Buffer.from(this.#state).fill(0, 0, L.SIZEOF_GUARD_TIME), own: this.#own };
  }

  close(): void {
    devLibrary.attempt('anyhop_dev_unwatch');
    this.#captured.close();
    this.#program.close();
    this.#forwarder.close();
  }
}
