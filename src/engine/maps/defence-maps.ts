/** The maps of defence, as memory that packets count in and user space reads and sets: pinned beside the others, so that it survives the process. */
import { join } from 'node:path';
import { L } from '../../core/layout.gen.js';
import type { BpfObject } from '../../ffi/bpf.js';
import { MappedArray } from '../../ffi/map.js';
import { stateWord } from '../../forward/guard-state.js';
import { entries } from '../../pins/directory.js';
import { ImageBuffers } from './image-buffers.js';

/** The maps, and their pins. */
export const DEFENCE_PINS = ['guard', 'lists'] as const;
const LIVE = 'live';
/** Says that nothing is listed. */
const NONE = new Uint8Array(L.SIZEOF_LISTS);

export class DefenceMaps {
  readonly #guard: MappedArray;
  readonly #lists: MappedArray;
  /** ForwardMaps has it too, for the images. */
  readonly #live: MappedArray;
  readonly #buffers: ImageBuffers;
  /** struct anyhop_guard, and the state of each service (forward/guard-state.ts). */
  readonly state: Int32Array;

  private constructor(open: (name: string) => MappedArray, inUse: boolean) {
    const opened: MappedArray[] = [];
    try {
      const [guard, lists, live] = [...DEFENCE_PINS, LIVE].map((name) => {
        const array = open(name);
        opened.push(array);
        return array;
      });
      this.#guard = guard;
      this.#lists = lists;
      this.#live = live;
      this.#buffers = new ImageBuffers(lists, live, inUse, L.LIVE_LISTS);
      this.state = new Int32Array(guard.memory);
    } catch (error) {
      for (const array of opened) array.close();
      throw error;
    }
  }

  /** They outlive the object. */
  static of(object: BpfObject): DefenceMaps {
    return new DefenceMaps((name) => new MappedArray(object.map(name)), false);
  }

  /** Those that are pinned in a directory; undefined when they are not, as with programs of former versions. */
  static pinned(directory: string): DefenceMaps | undefined {
    const there = entries(directory);
    if (!DEFENCE_PINS.every((name) => there.includes(name))) return undefined;
    return new DefenceMaps((name) => MappedArray.pinned(join(directory, name)), true);
  }

  pin(directory: string): void {
    this.#guard.descriptor.pin(join(directory, 'guard'));
    this.#lists.descriptor.pin(join(directory, 'lists'));
  }

  /** Whether there is room for compiled lists. */
  hasRoom(lists: Uint8Array): boolean {
    return lists.length <= this.#buffers.capacity;
  }

  /** Puts compiled lists in force, undefined for none; resolves when they are. One at a time. @throws RangeError when there is no room */
  publishLists(lists: Uint8Array | undefined): Promise<void> {
    return this.#buffers.publish(lists ?? NONE);
  }

  /** The compiled lists in force, in place, until the next publish but one; undefined for none. */
  lists(): Uint8Array | undefined {
    const bytes = this.#buffers.inForce();
    const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(L.LISTS_SIZE, true);
    return size === 0 || size > bytes.length ? undefined : bytes.subarray(0, size);
  }

  /**
   * Goes on from what others have counted.
   * @param moves for each service counter the one that it had there, or -1
   */
  continueFrom({ state }: DefenceMaps, moves: readonly number[]): void {
    this.state.set(state.subarray(0, stateWord(0)));
    for (const [counter, former] of moves.entries()) {
      if (former < 0) continue;
      this.state.set(state.subarray(stateWord(former), stateWord(former + 1)), stateWord(counter));
    }
  }

  close(): void {
    this.#buffers.close();
    for (const array of [this.#guard, this.#lists, this.#live]) array.close();
  }
}
