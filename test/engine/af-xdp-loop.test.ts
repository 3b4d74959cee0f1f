/** The loop over AF_XDP rings, with rings that are plain memory and a kernel that is a few lines here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { L } from '#anyhop/core/layout.gen.js';
import { ForwardingLoop, TALLIES, TALLY } from '#anyhop/engine/af_xdp/loop.js';
import { Ring } from '#anyhop/engine/af_xdp/ring.js';
import type { RingLayout, RingName } from '#anyhop/ffi/xsk.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { imageOf, VIP4 } from '../forward/fixture.js';
import { arpRequest, frame, ipv4, payload, tcp } from '../packets/build.js';

const FRAME_BYTES = 2048;
const FRAMES = 16;
const START = 256 + L.HEADROOM;
const forwarded = frame(
  {},
  ipv4({ src: '198.51.100.7', dst: VIP4 }),
  tcp({ sport: 5000, dport: 80 }),
  payload(6),
);
const dropped = frame(
  {},
  ipv4({ src: '198.51.100.7', dst: VIP4 }),
  tcp({ sport: 5000, dport: 81 }),
  payload(6),
);
const strange = arpRequest({ sender: '10.0.0.2', target: '10.0.0.1' });
const KINDS = { forwarded, dropped, strange };
type Kind = keyof typeof KINDS;

function layoutOf(entries: number, entryBytes: number): RingLayout {
  return { bytes: 128 + entries * entryBytes, entries, producer: 0, consumer: 64, flags: 8, desc: 128 };
}

/** The kernel's half of four rings over one packet memory. Counters start where the test says. */
class Kernel {
  readonly memory = new ArrayBuffer(FRAMES * FRAME_BYTES);
  readonly pipeline = new Pipeline(imageOf());
  readonly tally = new Float64Array(TALLIES);
  readonly loop: ForwardingLoop;
  readonly #words: Record<RingName, Int32Array>;
  readonly #layouts: Record<RingName, RingLayout>;

  constructor(first: number, txEntries = FRAMES / 2) {
    this.#layouts = {
      rx: layoutOf(FRAMES / 2, 16),
      tx: layoutOf(txEntries, 16),
      fill: layoutOf(FRAMES, 8),
      completion: layoutOf(FRAMES, 8),
    };
    const words = (name: RingName): Int32Array => {
      const array = new Int32Array(this.#layouts[name].bytes / 4);
      array[0] = array[16] = first;
      return array;
    };
    this.#words = { rx: words('rx'), tx: words('tx'), fill: words('fill'), completion: words('completion') };
    for (let i = 0; i < FRAMES; i++) this.#put('fill', [i * FRAME_BYTES, 0]);
    const ring = (name: RingName, role: 'producer' | 'consumer'): Ring =>
      new Ring(this.#words[name].buffer, this.#layouts[name], role);
    this.loop = new ForwardingLoop(
      {
        frames: new DataView(this.memory),
        rx: ring('rx', 'consumer'),
        tx: ring('tx', 'producer'),
        fill: ring('fill', 'producer'),
        completion: ring('completion', 'consumer'),
      },
      this.pipeline,
      this.tally,
    );
  }

  /** A frame comes in. @returns false when there is no place for it */
  receive(bytes: Uint8Array): boolean {
    if (this.count('fill') === 0 || this.count('rx') === FRAMES / 2) return false;
    const [address] = this.#take('fill');
    const start = address - (address % FRAME_BYTES) + START; // the kernel rounds down
    new Uint8Array(this.memory).set(bytes, start);
    this.#put('rx', [start, 0, bytes.length, 0]);
    return true;
  }

  /** Sends all there is. @returns the frames */
  send(): Uint8Array[] {
    const sent: Uint8Array[] = [];
    while (this.count('tx') > 0) {
      const [address, , length] = this.#take('tx');
      sent.push(new Uint8Array(this.memory.slice(address, address + length)));
      this.#put('completion', [address, 0]);
    }
    return sent;
  }

  count(name: RingName): number {
    return (this.#words[name][0] - this.#words[name][16]) | 0;
  }

  /** The frame numbers that lie in a ring. */
  frames(name: RingName): number[] {
    const width = name === 'rx' || name === 'tx' ? 4 : 2;
    const words = this.#words[name];
    const mask = this.#layouts[name].entries - 1;
    return Array.from({ length: this.count(name) }, (_, i) =>
      Math.floor(words[32 + ((words[16] + i) & mask) * width] / FRAME_BYTES),
    );
  }

  #put(name: RingName, entry: readonly number[]): void {
    const words = this.#words[name];
    words.set(entry, 32 + (words[0] & (this.#layouts[name].entries - 1)) * entry.length);
    words[0]++;
  }

  #take(name: RingName): number[] {
    const width = name === 'tx' ? 4 : 2;
    const words = this.#words[name];
    const at = 32 + (words[16] & (this.#layouts[name].entries - 1)) * width;
    words[16]++;
    return [...words.subarray(at, at + width)];
  }
}

test('sends what the pipeline makes of a frame, from where it lies', () => {
  const kernel = new Kernel(0);
  kernel.receive(forwarded);
  assert.equal(kernel.loop.batch(8), 1);
  const [sent] = kernel.send();
  assert.equal(sent.length, forwarded.length + 24);
  assert.equal(Buffer.compare(sent.subarray(-16), forwarded.subarray(-16)), 0);
  assert.equal(kernel.tally[TALLY.queued], 1);
});

test('gives a frame back and counts it when the TX ring is full', () => {
  const kernel = new Kernel(0, 2);
  for (let i = 0; i < 5; i++) kernel.receive(forwarded);
  assert.equal(kernel.loop.batch(8), 5);
  assert.equal(kernel.count('tx'), 2);
  assert.equal(kernel.count('fill'), FRAMES - 2);
  assert.equal(kernel.tally[TALLY.queued], 2);
  assert.equal(kernel.tally[TALLY.unqueued], 3);
  assert.equal(kernel.pipeline.counters.verdicts[L.V_FORWARDED], 5);
});

test('counts what it cannot pass to the host as stray, and not as passed', () => {
  const kernel = new Kernel(0);
  kernel.receive(strange);
  kernel.loop.batch(8);
  assert.equal(kernel.tally[TALLY.stray], 1);
  assert.equal(kernel.pipeline.counters.total(), 0);
  assert.equal(kernel.count('fill'), FRAMES);
});

test('takes no more than it is asked to', () => {
  const kernel = new Kernel(0);
  for (let i = 0; i < 5; i++) kernel.receive(dropped);
  assert.equal(kernel.loop.batch(3), 3);
  assert.equal(kernel.count('rx'), 2);
});

test('keeps every frame in exactly one ring, and every packet under one count, while counters run round', () => {
  const step = fc.record({
    arriving: fc.array(fc.constantFrom<Kind>('forwarded', 'dropped', 'strange'), { maxLength: 12 }),
    limit: fc.integer({ min: 1, max: 8 }),
    sends: fc.boolean(),
  });
  // The last numbers before an int32 runs over, and before all 32 bits do.
  const firsts = fc.constantFrom(0, 0x7fffffff - 20, -20);
  fc.assert(
    fc.property(
      firsts,
      fc.constantFrom(2, 8),
      fc.array(step, { maxLength: 30 }),
      (first, txEntries, steps) => {
        const kernel = new Kernel(first, txEntries);
        let taken = 0;
        let sent = 0;
        for (const { arriving, limit, sends } of steps) {
          for (const kind of arriving) kernel.receive(KINDS[kind]);
          taken += kernel.loop.batch(limit);
          if (sends) sent += kernel.send().length;
          const places = (['rx', 'tx', 'fill', 'completion'] as const).flatMap((name) => kernel.frames(name));
          assert.deepEqual(
            places.sort((a, b) => a - b),
            Array.from({ length: FRAMES }, (_, i) => i),
          );
        }
        const [queued, unqueued, stray] = kernel.tally;
        const { verdicts } = kernel.pipeline.counters;
        assert.equal(verdicts[L.V_FORWARDED], queued + unqueued);
        assert.equal(kernel.pipeline.counters.total() + stray, taken);
        assert.equal(sent + kernel.count('tx'), queued);
      },
    ),
  );
});
