/** A progress line: rewritten in place on a terminal, a new line every quarter otherwise. */

const REDRAW_INTERVAL_MS = 100;

export interface Progress {
  /** One more is done, well or not. */
  count(succeeded: boolean): void;
  /** Draws the final state. */
  end(): void;
}

export function createProgress(
  output: { isTTY?: boolean; write(text: string): unknown },
  total: number,
): Progress {
  const startMs = Date.now();
  let done = 0;
  let failed = 0;
  let drawnMs = 0;
  const line = (): string => {
    const perSecond = Math.round((done * 1000) / Math.max(1, Date.now() - startMs));
    return `requests: ${done} of ${total}, ${failed} failed, ${perSecond} a second`;
  };
  return {
    count(succeeded) {
      done += 1;
      if (!succeeded) failed += 1;
      if (output.isTTY === true) {
        if (Date.now() - drawnMs < REDRAW_INTERVAL_MS) return;
        drawnMs = Date.now();
        output.write(`\r${line()}\x1b[K`);
      } else if (done % Math.ceil(total / 4) === 0) output.write(`${line()}\n`);
    },
    end() {
      if (output.isTTY === true) output.write(`\r${line()}\x1b[K\n`);
    },
  };
}
