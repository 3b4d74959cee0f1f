/** The two maps by which a program's packets are captured, pinned beside it: whoever may open the pins can capture, also without its process. */
import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { BpfObject } from '../ffi/bpf.js';
import { CaptureRing } from '../ffi/capture-ring.js';
import { Descriptor } from '../ffi/descriptor.js';
import { entries } from './directory.js';

/** Their names in an object file, and as pins. */
const MAPS = { shared: '.data.capture', ring: 'captured' } as const;
export const CAPTURE_PINS = ['capture', 'captured'] as const;

export class CaptureMaps {
  readonly #shared: Descriptor;
  readonly #ring: Descriptor;

  private constructor(open: (map: keyof typeof MAPS) => Descriptor) {
    this.#shared = open('shared');
    try {
      this.#ring = open('ring');
    } catch (error) {
      this.#shared.close();
      throw error;
    }
  }

  /** They outlive the object. */
  static of(object: BpfObject): CaptureMaps {
    return new CaptureMaps((map) => object.map(MAPS[map]));
  }

  /** Those that are pinned in a directory; undefined when they are not, as with programs of former versions. */
  static pinned(
    directory: string,
    [shared, ring]: readonly [shared: string, ring: string] = CAPTURE_PINS,
  ): CaptureMaps | undefined {
    const there = entries(directory);
    if (!there.includes(shared) || !there.includes(ring)) return undefined;
    return new CaptureMaps((map) => Descriptor.pinned(join(directory, map === 'shared' ? shared : ring)));
  }

  /** In the place of any that have their names. */
  pin(directory: string): void {
    const there = entries(directory);
    for (const [i, map] of [this.#shared, this.#ring].entries()) {
      const path = join(directory, CAPTURE_PINS[i]);
      if (there.includes(CAPTURE_PINS[i])) unlinkSync(path);
      map.pin(path);
    }
  }

  /** Of the records; close it. @throws AnyhopError ERR_BPF when the maps are another version's */
  open(): CaptureRing {
    return new CaptureRing(this.#shared, this.#ring);
  }

  close(): void {
    this.#shared.close();
    this.#ring.close();
  }
}
