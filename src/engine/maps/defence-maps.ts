/** The maps of defence, as memory that packets count in and user space reads and sets: pinned beside the others, so that it survives the process. */
import { join } from 'node:path';
import type { BpfObject } from '../../ffi/bpf.js';
import { MappedArray } from '../../ffi/map.js';
import { stateWord } from '../../forward/guard-state.js';
import { entries } from '../../pins/directory.js';

/** The map, and its pin. */
export const GUARD = 'guard';

export class DefenceMaps {
  readonly #guard: MappedArray;
  /** struct anyhop_guard, and the state of each service (forward/guard-state.ts). */
  readonly state: Int32Array;

  private constructor(guard: MappedArray) {
    this.#guard = guard;
    this.state = new Int32Array(guard.memory);
  }

  /** They outlive the object. */
  static of(object: BpfObject): DefenceMaps {
    return new DefenceMaps(new MappedArray(object.map(GUARD)));
  }

  /** Those that are pinned in a directory; undefined when they are not, as with programs of former versions. */
  static pinned(directory: string): DefenceMaps | undefined {
    if (!entries(directory).includes(GUARD)) return undefined;
    return new DefenceMaps(MappedArray.pinned(join(directory, GUARD)));
  }

  pin(directory: string): void {
    this.#guard.descriptor.pin(join(directory, GUARD));
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
    this.#guard.close();
  }
}
