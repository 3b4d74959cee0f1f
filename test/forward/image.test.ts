/** What can be read as an image, and what is refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import { Image } from '#anyhop/image/read.js';
import { imageOf } from './fixture.js';

/** A copy of a good image with one 32-bit field of the header changed. */
function changed(offset: number, by: number): ArrayBuffer {
  const buffer = imageOf().bytes.slice().buffer;
  const view = new DataView(buffer);
  view.setUint32(offset, (view.getUint32(offset, true) + by) >>> 0, true);
  return buffer;
}

describe('an image', () => {
  it('is read from a copy of its bytes as from itself', () => {
    const image = imageOf({ generation: 7 });
    const copy = new Image(image.bytes.slice().buffer);
    assert.equal(copy.generation, 7);
    assert.deepEqual(copy.bytes, image.bytes);
  });

  it('is refused with another magic number, version or size, be it larger or smaller', () => {
    assert.doesNotThrow(() => new Image(changed(L.HEADER_GENERATION, 1)));
    for (const offset of [L.HEADER_MAGIC, L.HEADER_VERSION, L.HEADER_SIZE]) {
      for (const by of [1, -1, 0x10000]) {
        assert.throws(() => new Image(changed(offset, by)), RangeError, `byte ${offset}, ${by}`);
      }
    }
    const { bytes } = imageOf();
    assert.throws(() => new Image(bytes.slice(0, -64).buffer), RangeError);
    assert.throws(() => new Image(new Uint8Array([...bytes, ...new Uint8Array(64)]).buffer), RangeError);
  });

  it('is refused when it ends within its header', () => {
    for (const length of [128, 252]) {
      const buffer = imageOf().bytes.slice(0, length).buffer;
      new DataView(buffer).setUint32(L.HEADER_SIZE, length, true);
      assert.throws(() => new Image(buffer), RangeError);
    }
  });
});
