/** A tap on a pipeline changes nothing of what becomes of a packet, and records what did. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CaptureFilter, type CaptureRecord, UNKNOWN, UNKNOWN_SLOT } from '#anyhop/capture/record.js';
import { readRecords } from '#anyhop/capture/record-bytes.js';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { CAPTURE_LOOKS_PER_TICK } from '#anyhop/core/limits.js';
import { recordingOf } from '#anyhop/engine/capture/recording.js';
import { RecordRing } from '#anyhop/engine/capture/ring.js';
import { Tap } from '#anyhop/engine/capture/tap.js';
import { Pipeline } from '#anyhop/forward/pipeline.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { imageOf, VIP4 } from '../forward/fixture.js';
import { flows, mixed } from './contract-frames.js';

const ALL: CaptureFilter = { sample: 1, snapLength: 2048 };
/** A key for each slot, so that there is something to record. */
const IMAGE = {
  pools: {
    web: [
      { address: '10.1.0.11', mtu: 1500 },
      { address: '10.1.0.12', mtu: 1500 },
    ],
  },
  services: [
    { vip: VIP4, protocol: 'tcp' as const, port: 80, secondChance: true },
    { vip: '2001:db8:100::10', protocol: 'tcp' as const, port: 80 },
    { vip: VIP4, protocol: 'udp' as const, port: 53 },
  ],
  alternate: (slot: number, backends: number) => (slot + 1) % backends,
};

interface Seen {
  readonly verdict: number;
  readonly out: Uint8Array;
}

function through(process: Pipeline | Tap, pipeline: Pipeline, frame: Uint8Array): Seen {
  const memory = new Uint8Array(L.HEADROOM + frame.length);
  memory.set(frame, L.HEADROOM);
  const verdict = process.process(new DataView(memory.buffer), L.HEADROOM, frame.length);
  const { outStart, outLength } = pipeline;
  return {
    verdict,
    out: verdict <= L.V_TOO_BIG_ANSWERED ? memory.slice(outStart, outStart + outLength) : new Uint8Array(0),
  };
}

function tapped(filter: Partial<CaptureFilter> = {}): { pipeline: Pipeline; tap: Tap; ring: RecordRing } {
  const pipeline = new Pipeline(imageOf(IMAGE));
  const ring = new RecordRing(RecordRing.memory());
  return { pipeline, ring, tap: new Tap(pipeline, ring, { ...ALL, ...filter }, 3) };
}

const taken = (ring: RecordRing): CaptureRecord[] =>
  readRecords(recordingOf([ring], async () => undefined).take(1 << 22));

describe('a tap', () => {
  const frames = [...mixed(), ...flows(20)];

  it('leaves verdicts, bytes and counters as they are, and records each packet before and after', () => {
    const plain = new Pipeline(imageOf(IMAGE));
    const { pipeline, tap, ring } = tapped();
    const seen = frames.map((frame) => {
      const expected = through(plain, plain, frame);
      assert.deepEqual(through(tap, pipeline, frame), expected);
      return expected;
    });
    assert.deepEqual(pipeline.counters, plain.counters);
    const records = taken(ring);
    assert.equal(records.length, frames.length);
    assert.equal(new Set(records.map(({ id }) => id)).size, frames.length);
    for (const [i, record] of records.entries()) {
      const { verdict, out } = seen[i];
      const { inBytes, inLength, outBytes, outLength } = record;
      assert.equal(VERDICTS[record.verdict].name, VERDICTS[verdict].name);
      assert.deepEqual([Buffer.from(inBytes), inLength], [Buffer.from(frames[i]), frames[i].length]);
      assert.deepEqual([Buffer.from(outBytes), outLength], [Buffer.from(out), out.length]);
      const isForwarded = verdict <= L.V_FORWARDED_ICMP_ERROR;
      assert.deepEqual(
        [record.service === UNKNOWN, record.backend === UNKNOWN, record.slot === UNKNOWN_SLOT],
        [!isForwarded, !isForwarded, !isForwarded],
      );
      assert.deepEqual([record.cpu, record.generation], [3, 1]);
    }
    assert.ok(
      records.some(({ key }) => key !== 0) &&
        records.some(({ verdict }) => VERDICTS[verdict].action === 'answer'),
    );
  });

  it('keeps the first bytes alone, and counts the whole length', () => {
    const { pipeline, tap, ring } = tapped({ snapLength: 64 });
    for (const frame of frames) through(tap, pipeline, frame);
    for (const [i, record] of taken(ring).entries()) {
      assert.deepEqual(
        [record.inBytes.length, record.inLength],
        [Math.min(64, frames[i].length), frames[i].length],
      );
      assert.equal(record.outBytes.length, Math.min(64, record.outLength));
    }
  });

  it('records what the filter wants', () => {
    const { pipeline, tap, ring } = tapped({
      vip: parseAddress(VIP4)!,
      servicePort: 80,
      verdicts: [L.V_FORWARDED],
      backend: 1,
    });
    for (const frame of flows(100)) through(tap, pipeline, frame);
    const records = taken(ring);
    assert.ok(records.length > 10 && records.length < 50, `${records.length} of 50 to the VIP`);
    assert.ok(records.every(({ verdict, backend }) => verdict === L.V_FORWARDED && backend === 1));
  });

  it('looks at one packet of so many', () => {
    const { pipeline, tap, ring } = tapped({ sample: 10 });
    for (const frame of flows(1000)) through(tap, pipeline, frame);
    assert.equal(taken(ring).length, 100);
  });

  it('looks at so many packets a tick, and counts the others as lost', () => {
    const { pipeline, tap, ring } = tapped({ verdicts: [] });
    const [frame] = flows(1);
    for (let i = 0; i < CAPTURE_LOOKS_PER_TICK + 5; i++) through(tap, pipeline, frame);
    assert.equal(ring.lost, 5);
    pipeline.tick++;
    through(tap, pipeline, frame);
    assert.equal(ring.lost, 5);
  });

  it('forwards on when the ring is full', () => {
    const pipeline = new Pipeline(imageOf(IMAGE));
    const ring = new RecordRing(RecordRing.memory(1024));
    const tap = new Tap(pipeline, ring, ALL, 0);
    for (const frame of flows(100)) assert.equal(through(tap, pipeline, frame).verdict, L.V_FORWARDED);
    assert.ok(ring.lost > 80);
    assert.equal(taken(ring).length + ring.lost, 100);
  });
});
