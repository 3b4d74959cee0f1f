/**
 * The maps between an XDP program and user space (native/include/anyhop/xdp.h), as memory: images are published and
 * counters are read without a system call. For the program that forwards, and for the one that steers packets into
 * rings, which needs an image's beginning only (`searchPart`).
 *
 *     const sizes = sizesFor(image);
 *     const object = new BpfObject(bpfObjectPath('forward'), defendedShape(sizes));
 *     const maps = ForwardMaps.of(object, sizes);
 *     await maps.publish(image.bytes);
 */
import { join } from 'node:path';
import { L } from '../../core/layout.gen.js';
import type { BpfObject } from '../../ffi/bpf.js';
import { MappedArray } from '../../ffi/map.js';
import type { Counters } from '../../forward/counters.js';
import { Image } from '../../image/read.js';
import { CounterBlocks } from './counter-blocks.js';
import { ImageBuffers } from './image-buffers.js';
import type { ForwardSizes } from './sizes.js';

const NAMES = ['images', 'live', 'counters'] as const;
type Arrays = Readonly<Record<(typeof NAMES)[number], MappedArray>>;

export class ForwardMaps {
  readonly sizes: ForwardSizes;
  readonly #arrays: Arrays;
  readonly #buffers: ImageBuffers;
  readonly #counters: CounterBlocks;

  private constructor(open: (name: string) => MappedArray, sizes: ForwardSizes, inUse: boolean) {
    const opened: MappedArray[] = [];
    try {
      const entries = NAMES.map((name) => {
        const array = open(name);
        opened.push(array);
        return [name, array] as const;
      });
      this.#arrays = Object.fromEntries(entries) as unknown as Arrays;
      this.sizes = sizes;
      this.#buffers = new ImageBuffers(this.#arrays.images, this.#arrays.live, inUse);
      this.#counters = new CounterBlocks(this.#arrays.counters, sizes);
    } catch (error) {
      for (const array of opened) array.close();
      throw error;
    }
  }

  /** Of an object that was loaded by `forwardShape` or `defendedShape`. They outlive it. */
  static of(object: BpfObject, sizes: ForwardSizes): ForwardMaps {
    return new ForwardMaps((name) => new MappedArray(object.map(name)), sizes, false);
  }

  /** Those that an earlier process pinned in this directory: programs may be using them. */
  static pinned(directory: string, sizes: ForwardSizes): ForwardMaps {
    return new ForwardMaps((name) => MappedArray.pinned(join(directory, name)), sizes, true);
  }

  /** The same for who only reads images and counters: nothing may be published. */
  static looking(directory: string, sizes: ForwardSizes): ForwardMaps {
    return new ForwardMaps((name) => MappedArray.pinned(join(directory, name)), sizes, false);
  }

  /** Under their names in a directory of a BPF file system. */
  pin(directory: string): void {
    for (const name of NAMES) this.#arrays[name].descriptor.pin(join(directory, name));
  }

  /**
   * Puts an image, or the beginning of one, in force for every packet from now on; resolves when it is. One at a time.
   * Takes the time of a copy, unless there were two others within some 8 ms (image-buffers.ts).
   *
   * @throws RangeError when there is no room for it
   */
  publish(image: Uint8Array): Promise<void> {
    return this.#buffers.publish(image);
  }

  /** A copy of the image in force. Undefined when another version wrote it. */
  image(): Image | undefined {
    const bytes = this.#buffers.inForce();
    const { buffer, byteOffset } = bytes;
    const size = new DataView(buffer, byteOffset).getUint32(L.HEADER_SIZE, true);
    if (size < L.SIZEOF_HEADER || size > bytes.length) return undefined;
    try {
      return new Image(Uint8Array.prototype.slice.call(bytes, 0, size).buffer as ArrayBuffer);
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  /** What has been counted, with what was carried over. @param services how many of them, and of the backends, are in use */
  counters(services: number, backends: number): Counters {
    return this.#counters.read(services, backends);
  }

  /** The same for one verdict by its number, also one that another version of this program gave it. */
  verdict(number: number): number {
    return this.#counters.verdict(number);
  }

  /** Sets what was counted elsewhere and now belongs to these counters. */
  carry(counters: Counters): void {
    this.#counters.carry(counters);
  }

  /** See CounterBlocks.uncount. */
  uncount(counters: Counters): void {
    this.#counters.uncount(counters);
  }

  /** Gives the memory back. None of the above may be called any more; a publish that waits is rejected. */
  close(): void {
    this.#buffers.close();
    for (const name of NAMES) this.#arrays[name].close();
  }
}

/** An image's header and its VIPs: all that deciding whether a packet is for a VIP takes. */
export function searchPart(image: Image): Uint8Array {
  return image.bytes.subarray(0, image.serviceWord * 4);
}
