/**
 * The terminal while it shows a picture: the alternate screen, without cursor and line wrap, keys as they are pressed. It is given back as it
 * was however the process ends, short of SIGKILL: by quitting, a signal, or an error that nobody catches.
 *
 * Only lines that changed are sent, so that a second's change is some hundred bytes over ssh. terminal-kit would draw this too, with 19
 * packages, decoders for JPEG, PNG and GIF among them, in a process that may be root's.
 */
import { emitKeypressEvents, type Interface } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Size } from './picture.js';
import type { Key } from './state.js';

/** Alternate screen, no cursor, no line wrap. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l';
/** Attributes off, and all of this back. */
const LEAVE = '\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l';
const CLEAR = '\x1b[2J';
const LINE_END = '\x1b[K';
/** An Escape key alone is told from the beginning of a longer sequence by what follows within this time. */
const ESCAPE_TIMEOUT_MS = 100;
/** Of a terminal that tells none, such as a serial line. */
const SIZE_DEFAULT: Size = { columns: 80, rows: 24 };

export interface ScreenEvents {
  readonly key: (key: Key) => void;
  /** The terminal has another size, or comes back from a suspension. */
  readonly resize: () => void;
}

export class Screen {
  readonly #out: WriteStream;
  /** Undefined when keys come from no terminal: then nobody presses any. */
  readonly #in: ReadStream | undefined;
  readonly #events: ScreenEvents;
  /** As they are on the screen; empty when that is not known. */
  #shown: readonly string[] = [];
  #isOpen = false;
  readonly #onKey = (_: string | undefined, key: Key): void => this.#events.key(key);
  readonly #onResize = (): void => {
    this.#shown = [];
    this.#events.resize();
  };
  /** Whoever stopped us may have reset the terminal. */
  readonly #onContinue = (): void => {
    this.#giveBack();
    this.#take();
    this.#onResize();
  };
  readonly #onEnd = (): void => this.#giveBack();

  constructor(out: WriteStream, input: ReadStream, events: ScreenEvents) {
    this.#out = out;
    this.#in = input.isTTY ? input : undefined;
    this.#events = events;
  }

  get size(): Size {
    const { columns, rows } = this.#out;
    return columns > 0 && rows > 0 ? { columns, rows } : SIZE_DEFAULT;
  }

  open(): void {
    process.on('exit', this.#onEnd);
    // Before Node prints the error, which would vanish with the alternate screen.
    process.on('uncaughtExceptionMonitor', this.#onEnd);
    process.on('SIGCONT', this.#onContinue);
    this.#take();
  }

  /** Draws all lines again at the next `show`. */
  forget(): void {
    this.#shown = [];
  }

  /** @param lines as many as the screen has rows, each as wide at most as it is */
  show(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    let out = this.#shown.length === lines.length ? '' : CLEAR;
    const shown = out === '' ? this.#shown : [];
    for (const [row, line] of lines.entries())
      if (line !== shown[row]) out += `\x1b[${row + 1};1H${line}${LINE_END}`;
    this.#shown = lines;
    if (out !== '') this.#out.write(out);
  }

  /** Stops the process as Ctrl-Z does. It goes on here when it is continued, or at once where no shell could continue it. */
  suspend(): void {
    this.#giveBack();
    process.kill(process.pid, 'SIGTSTP');
    this.#take();
    this.#onResize();
  }

  close(): void {
    process.off('exit', this.#onEnd);
    process.off('uncaughtExceptionMonitor', this.#onEnd);
    process.off('SIGCONT', this.#onContinue);
    this.#giveBack();
  }

  #take(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#shown = [];
    this.#out.on('resize', this.#onResize);
    if (this.#in !== undefined) {
      emitKeypressEvents(this.#in, { escapeCodeTimeout: ESCAPE_TIMEOUT_MS } as unknown as Interface);
      this.#in.setRawMode(true);
      this.#in.on('keypress', this.#onKey);
      this.#in.resume();
    }
    this.#out.write(ENTER + CLEAR);
  }

  #giveBack(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#out.off('resize', this.#onResize);
    if (this.#in !== undefined) {
      this.#in.off('keypress', this.#onKey);
      this.#in.setRawMode(false);
      this.#in.pause();
    }
    this.#out.write(LEAVE);
  }
}
