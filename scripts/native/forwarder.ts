/**
 * The forwarding program in the kernel with an image in force, without an interface or an engine around it: what
 * test runs need.
 */
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { CounterBlocks } from '#anyhop/engine/maps/counter-blocks.js';
import { defendedShape, type ForwardSizes } from '#anyhop/engine/maps/sizes.js';
import { bpfObjectPath } from '#anyhop/ffi/library.js';
import { MappedArray } from '#anyhop/ffi/map.js';
import type { Image } from '#anyhop/image/read.js';
import { DevObject } from './object.js';

export const FORWARD_PROGRAM = 'anyhop_forward';

/** The sizes that take any one of these images, without room to grow. @param lists bytes of compiled lists */
export function sizesFor(images: readonly Image[], lists?: number): ForwardSizes {
  return {
    imageBytes: Math.ceil(Math.max(...images.map((image) => image.bytes.length)) / 64) * 64,
    services: Math.max(...images.map((image) => image.serviceCounters)),
    backends: Math.max(...images.map((image) => image.backendCounters)),
    ...(lists !== undefined && { lists }),
  };
}

export class Forwarder {
  readonly object: DevObject;
  readonly sizes: ForwardSizes;
  readonly counters: MappedArray;
  readonly #blocks: CounterBlocks;
  readonly #images: Uint8Array;
  readonly #live: Uint32Array;
  readonly #serviceStates: Uint8Array;
  #buffer = 0;

  /** @param path of the object file; the product's own unless given */
  constructor(sizes: ForwardSizes, path: string = bpfObjectPath('forward')) {
    this.object = new DevObject(path, defendedShape(sizes));
    this.sizes = sizes;
    this.counters = new MappedArray(this.object.map('counters'));
    this.#blocks = new CounterBlocks(this.counters, sizes);
    this.#images = new Uint8Array(this.object.memory('images'));
    this.#serviceStates = new Uint8Array(this.object.memory('guard'), L.SIZEOF_GUARD);
    this.#live = new Uint32Array(this.object.memory('live'), L.LIVE_BUFFER, 1);
  }

  /** Puts an image in force. No packet may be under way: this does not wait for readers. */
  publish(image: Image): void {
    this.#buffer = (this.#buffer + 1) % L.IMAGES;
    this.#images.set(image.bytes, this.#buffer * this.sizes.imageBytes);
    this.#live[0] = this.#buffer;
  }

  /** As if no SYN had come yet: a service answers a number of them a second, which a test run exceeds. */
  forgetSyns(): void {
    this.#serviceStates.fill(0);
  }

  /** Packets counted under each verdict, summed over the CPUs, by name; those that are not zero. */
  verdicts(): Record<string, number> {
    const { verdicts } = this.#blocks.read(0, 0);
    return Object.fromEntries(
      VERDICTS.map(({ name }, number) => [name, verdicts[number]] as const).filter(([, count]) => count > 0),
    );
  }

  close(): void {
    this.counters.close();
    this.object.close();
  }
}
