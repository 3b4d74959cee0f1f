/** The maps between an XDP program and user space: images in, counters out. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import { ForwardMaps, searchPart } from '#anyhop/engine/maps/forward-maps.js';
import { defendedShape, fits, sizesFor } from '#anyhop/engine/maps/sizes.js';
import { Barrier } from '#anyhop/ffi/barrier.js';
import { BpfObject } from '#anyhop/ffi/bpf.js';
import { bpfObjectPath } from '#anyhop/ffi/library.js';
import { Counters } from '#anyhop/forward/counters.js';
import { imageOf } from '../forward/fixture.js';
import { missingForIsolation } from '../isolation.js';
import { arpRequest } from '../packets/build.js';

const PUBLISHES = 100;
/** Far above the 0.05 ms that it takes, far below a barrier. */
const PUBLISH_MS_MAX = 1;

describe('the maps of an XDP program', { skip: missingForIsolation() }, () => {
  const image = imageOf();
  const sizes = sizesFor(image);
  let object: BpfObject;
  let maps: ForwardMaps;

  before(() => {
    object = new BpfObject(bpfObjectPath('forward'), defendedShape(sizes));
    maps = ForwardMaps.of(object, sizes);
  });
  after(() => {
    maps?.close();
    object?.close();
  });
  const run = (times: number): void => {
    for (let i = 0; i < times; i++)
      object.testRun('anyhop_forward', arpRequest({ sender: '10.0.0.2', target: '10.0.0.77' }));
  };

  it('hold no image before one is published', () => assert.equal(maps.image(), undefined));

  it('put one published image after the other in force', async () => {
    for (let generation = 2; generation < 2 + PUBLISHES; generation++) {
      const next = imageOf({ generation });
      await maps.publish(next.bytes);
      assert.deepEqual(maps.image()?.bytes, next.bytes);
    }
  });

  it('never take a buffer before a barrier that was asked for after it had been replaced', async () => {
    const log: string[] = [];
    for (let i = 0; i < 8; i++) {
      const before = new Barrier();
      await maps.publish(image.bytes);
      await maps.publish(image.bytes);
      // There are three buffers: the third publish takes the one that the first has retired, after `before`.
      await maps.publish(image.bytes);
      log.push(String(before.isOver));
    }
    assert.deepEqual(log, Array(8).fill('true'));
  });

  it('take an image within a millisecond when there was a rest before', async () => {
    const times: number[] = [];
    for (let i = 0; i < 9; i++) {
      await new Barrier().over();
      const start = performance.now();
      await maps.publish(image.bytes);
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[4];
    assert.ok(median < PUBLISH_MS_MAX, `${median} ms`);
  });

  it('take the part of an image that a search for a VIP needs', async () => {
    const part = searchPart(image);
    await maps.publish(part);
    assert.ok(part.length > L.SIZEOF_HEADER && part.length < image.bytes.length);
  });

  it('reject a publish that still waits for a buffer when they are closed', async () => {
    const others = ForwardMaps.of(object, sizes);
    await others.publish(image.bytes);
    await others.publish(image.bytes);
    const waiting = [others.publish(image.bytes), others.publish(image.bytes)];
    others.close();
    const done = await Promise.allSettled(waiting);
    assert.ok(done.some(({ status }) => status === 'rejected'));
  });

  it('refuse an image that they have no room for', async () => {
    const large = imageOf({ slots: 65537 });
    assert.equal(fits(large, sizes), false);
    await assert.rejects(maps.publish(large.bytes), RangeError);
  });

  it('tell what the program counted, and what was carried over, as one', async () => {
    await maps.publish(image.bytes);
    run(5);
    const counted = maps.counters(image.serviceCounters, image.backendCounters);
    assert.deepEqual(counted.verdictsByName(), { pass_not_ip: 5 });
    const carried = new Counters();
    carried.grow(2, 2);
    carried.verdicts[L.V_FORWARDED] = 2 ** 52 + 1;
    carried.services.set([1, 100, 2, 200]);
    carried.backends.set([3, 300, 4, 400]);
    maps.carry(carried);
    run(1);
    const both = maps.counters(2, 2);
    assert.deepEqual(both.verdictsByName(), { forwarded: 2 ** 52 + 1, pass_not_ip: 6 });
    assert.deepEqual([...both.services, ...both.backends], [1, 100, 2, 200, 3, 300, 4, 400]);
  });
});
