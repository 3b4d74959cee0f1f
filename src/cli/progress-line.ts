/** Progress on standard error: one line that is written over on a terminal, and a line now and then elsewhere. */
import { LINE_START, writeControl, writeError } from './output.js';

/** Without a terminal. */
const LINE_INTERVAL_MS = 10_000;

export class ProgressLine {
  #lineAtMs = Number.NEGATIVE_INFINITY;

  /** Shows what is so now; `clear` before anything else is written. */
  show(text: string): void {
    const nowMs = performance.now();
    if (process.stderr.isTTY) writeError(text.slice(0, process.stderr.columns - 1));
    else if (nowMs - this.#lineAtMs >= LINE_INTERVAL_MS) {
      this.#lineAtMs = nowMs;
      writeError(`${text}\n`);
    }
  }

  clear(): void {
    if (process.stderr.isTTY) writeControl(LINE_START, process.stderr);
  }
}
