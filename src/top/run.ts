/** Shows the picture of what the nodes say, until somebody quits or the process is told to end. */
import type { ReadStream, WriteStream } from 'node:tty';
import { deferred } from '../core/deferred.js';
import { type FleetView, fleetView } from '../view/fleet.js';
import { STALE_AFTER_MS_DEFAULT } from '../view/seen.js';
import { picture } from './picture.js';
import { Screen } from './screen.js';
import { type Chosen, type Key, pressed } from './state.js';
import { painted } from './style.js';
import { type Asked, Watcher } from './watcher.js';

export interface TopOptions {
  readonly everyMs: number;
  readonly chosen: Chosen;
  readonly isColoured: boolean;
  readonly input: ReadStream;
  readonly output: WriteStream;
}

/** Ages are counted on screen at least so often, whether anything answers or not. */
const TICK_MS = 1000;
/** Answers are late when so many did not come. */
const MISSED_MAX = 2.5;
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** An answer that is older is stale, in milliseconds. */
export function staleAfter(everyMs: number): number {
  return Math.max(STALE_AFTER_MS_DEFAULT, everyMs * MISSED_MAX);
}

/**
 * @returns the signal that ended it, for the process to end by the same one; undefined when somebody quit
 * @throws what the first node met when none answers from the beginning; the terminal is untouched then
 */
export async function runTop(
  nodes: readonly Asked[],
  options: TopOptions,
): Promise<NodeJS.Signals | undefined> {
  const { everyMs, isColoured, input, output } = options;
  const watcher = new Watcher(nodes, everyMs, () => draw());
  await watcher.once();
  let state = options.chosen;
  let page = 1;
  let frozen: FleetView | undefined;
  const look = (): FleetView => fleetView(watcher.seen(), Date.now(), { staleAfterMs: staleAfter(everyMs) });
  const draw = (): void => {
    const { size } = screen;
    if (state.isPaused) frozen ??= look();
    else frozen = undefined;
    const { lines, offset, page: rows } = picture(frozen ?? look(), state, size);
    state = { ...state, offset };
    page = Math.max(1, rows);
    screen.show(lines.map((line) => painted(line, size.columns, isColoured)));
  };
  const ended = deferred<NodeJS.Signals | undefined>();
  const press = (key: Key): void => {
    const { state: next, effect } = pressed(state, key, page);
    state = next;
    if (effect === 'quit') ended.resolve(undefined);
    else if (effect === 'suspend') screen.suspend();
    else {
      if (effect === 'redraw') screen.forget();
      draw();
    }
  };
  const screen = new Screen(output, input, { key: press, resize: () => draw() });
  const end = (signal: NodeJS.Signals): void => ended.resolve(signal);
  for (const signal of ENDING) process.on(signal, end);
  const ticks = setInterval(() => draw(), TICK_MS);
  try {
    screen.open();
    draw();
    watcher.start();
    return await ended.promise;
  } finally {
    clearInterval(ticks);
    watcher.close();
    screen.close();
    for (const signal of ENDING) process.off(signal, end);
  }
}
