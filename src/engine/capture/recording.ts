/** What an engine gives to whoever captures: the rings of its threads as one, until it is ended. */
import type { RecordRing } from './ring.js';

export interface Recording {
  /** Whole records (capture/record-bytes.ts), as many as fit; a copy. Empty when there are none. */
  take(bytesMax: number): Uint8Array;
  /** So far. */
  readonly lost: number;
  /** Nothing is recorded any more when it resolves. Also after the engine has stopped. */
  end(): Promise<void>;
}

/** @param end takes the taps away */
export function recordingOf(rings: readonly RecordRing[], end: () => Promise<void>): Recording {
  let next = 0;
  return {
    take(bytesMax) {
      // Another ring first each time, so that none has to wait for ever.
      for (let tried = 0; tried < rings.length; tried++) {
        const bytes = rings[next].take(bytesMax);
        next = (next + 1) % rings.length;
        if (bytes.length > 0) return bytes;
      }
      return new Uint8Array(0);
    },
    get lost() {
      return rings.reduce((sum, { lost }) => sum + lost, 0);
    },
    end,
  };
}
