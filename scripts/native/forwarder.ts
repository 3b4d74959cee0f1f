/**
 * The forwarding program in the kernel with an image in force, without an interface or an engine around it: what
 * test runs need. The maps are those of native/include/anyhop/xdp.h.
 */
import { readFileSync } from 'node:fs';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { bpfObjectPath } from '#anyhop/ffi/library.js';
import type { Image } from '#anyhop/image/read.js';
import { DevObject } from './object.js';

export const FORWARD_PROGRAM = 'anyhop_forward';

const POSSIBLE_CPUS = '/sys/devices/system/cpu/possible';

export interface ForwarderSizes {
  readonly imageBytes: number;
  readonly serviceCounters: number;
  readonly backendCounters: number;
}

/** The sizes that take any one of these images. */
export function sizesFor(images: readonly Image[]): ForwarderSizes {
  return {
    imageBytes: Math.max(...images.map((image) => image.bytes.length)),
    serviceCounters: Math.max(...images.map((image) => image.serviceCounters)),
    backendCounters: Math.max(...images.map((image) => image.backendCounters)),
  };
}

export class Forwarder {
  readonly object: DevObject;
  /** Of an element of `counters`, and how many elements there are: one a CPU, and user space's. */
  readonly counterBytes: number;
  readonly counterElements: number;
  readonly #images: Uint8Array;
  readonly #live: Uint32Array;
  readonly #counters: BigUint64Array;
  readonly #imageBytes: number;
  #buffer = 0;

  /** @param path of the object file; the product's own unless given */
  constructor(sizes: ForwarderSizes, path: string = bpfObjectPath('forward')) {
    const imageBytes = lines(sizes.imageBytes);
    const counterBytes = lines(
      L.SIZEOF_COUNTERS + (sizes.serviceCounters + sizes.backendCounters) * L.SIZEOF_TRAFFIC,
    );
    const counterElements = possibleCpus() + 1;
    const constants = Buffer.alloc(L.SIZEOF_SIZES);
    constants.writeUInt32LE(imageBytes, L.SIZES_IMAGE_BYTES);
    constants.writeUInt32LE(sizes.serviceCounters, L.SIZES_SERVICE_COUNTERS);
    constants.writeUInt32LE(sizes.backendCounters, L.SIZES_BACKEND_COUNTERS);
    this.object = new DevObject(path, {
      maps: {
        images: { valueBytes: imageBytes, entries: L.IMAGES },
        counters: { valueBytes: counterBytes, entries: counterElements },
      },
      constants: { '.rodata.sizes': constants },
    });
    this.#imageBytes = imageBytes;
    this.counterBytes = counterBytes;
    this.counterElements = counterElements;
    this.#images = new Uint8Array(this.object.memory('images', imageBytes * L.IMAGES));
    this.#live = new Uint32Array(this.object.memory('live', L.SIZEOF_LIVE), L.LIVE_BUFFER, 1);
    this.#counters = new BigUint64Array(this.object.memory('counters', counterBytes * counterElements));
  }

  /** Puts an image in force. No packet may be under way: this does not wait for readers. */
  publish(image: Image): void {
    this.#buffer = (this.#buffer + 1) % L.IMAGES;
    this.#images.set(image.bytes, this.#buffer * this.#imageBytes);
    this.#live[0] = this.#buffer;
  }

  /** Packets counted under each verdict, summed over the CPUs, by name; those that are not zero. */
  verdicts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const [number, { name }] of VERDICTS.entries()) {
      let sum = 0n;
      for (let at = number; at < this.#counters.length; at += this.counterBytes / 8)
        sum += this.#counters[at];
      if (sum > 0n) counts[name] = Number(sum);
    }
    return counts;
  }

  close(): void {
    this.object.close();
  }
}

/** Rounded up to whole cache lines. */
function lines(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/** One more than the highest number: "0-3" or "0,2-3". */
function possibleCpus(): number {
  return Number(readFileSync(POSSIBLE_CPUS, 'utf8').trim().split(/[-,]/).at(-1)) + 1;
}
