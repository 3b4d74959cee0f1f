/**
 * A command in a pseudo terminal, and what its screen shows: `script` (bsdutils, which every Debian has) makes the terminal, and the few
 * sequences that `anyhop top` sends are read here as ECMA-48 has them. An unknown one fails, so that nothing is overlooked.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

const TIMEOUT_MS = 30_000;

interface Cell {
  readonly char: string;
  /** Attributes as they were sent: `1;31`; empty for none. */
  readonly attributes: string;
}
const BLANK: Cell = { char: ' ', attributes: '' };

/** Pictures of the two screens that a terminal has. */
export class Display {
  #rows: Cell[][] = [];
  #main: { rows: Cell[][]; row: number; column: number } = { rows: [], row: 0, column: 0 };
  #row = 0;
  #column = 0;
  #attributes = '';
  #rest = '';
  isAlternate = false;
  isCursorShown = true;
  wraps = true;
  /** The furthest column that something was written to. */
  widest = 0;

  read(text: string): void {
    const all = this.#rest + text;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal reads
    const sequence = /\x1b(?:\[(\??[\d;]*)([A-Za-z]))?|[\r\n\b]|[^\x1b\r\n\b]/gu;
    this.#rest = '';
    for (const match of all.matchAll(sequence)) {
      const [whole, parameters, final] = match;
      if (whole === '\x1b') {
        // The rest of it has not come yet.
        this.#rest = all.slice(match.index);
        return;
      }
      if (final !== undefined) this.#obey(parameters, final);
      else if (whole === '\r') this.#column = 0;
      else if (whole === '\n') this.#row++;
      else if (whole === '\b') this.#column--;
      else this.#put(whole);
    }
  }

  text(): string[] {
    return Array.from(this.#rows, (cells = []) =>
      Array.from(cells, (cell) => (cell ?? BLANK).char)
        .join('')
        .trimEnd(),
    );
  }

  /** Attributes of the first cell of the first row that begins so. */
  attributesOf(beginning: string): string | undefined {
    const row = this.text().findIndex((line) => line.startsWith(beginning));
    return row < 0 ? undefined : this.#rows[row][0].attributes;
  }

  #put(char: string): void {
    this.#rows[this.#row] ??= [];
    this.#rows[this.#row][this.#column++] = { char, attributes: this.#attributes };
    this.widest = Math.max(this.widest, this.#column);
  }

  #obey(parameters: string, final: string): void {
    const numbers = parameters.split(';').map(Number);
    if (final === 'm') this.#attributes = parameters === '0' ? '' : parameters;
    else if (final === 'H') [this.#row, this.#column] = [(numbers[0] || 1) - 1, (numbers[1] || 1) - 1];
    else if (final === 'K') this.#rows[this.#row]?.splice(this.#column);
    else if (final === 'J') this.#rows = [];
    else if (parameters === '?1049') this.#changeScreen(final === 'h');
    else if (parameters === '?25') this.isCursorShown = final === 'h';
    else if (parameters === '?7') this.wraps = final === 'h';
    else if (parameters !== '?2004') assert.fail(`unknown sequence ${parameters}${final}`);
  }
  /** Each has its rows; the cursor comes back to where it was. */
  #changeScreen(isAlternate: boolean): void {
    if (isAlternate === this.isAlternate) return;
    this.isAlternate = isAlternate;
    if (isAlternate) {
      this.#main = { rows: this.#rows, row: this.#row, column: this.#column };
      this.#rows = [];
    } else {
      ({ rows: this.#rows, row: this.#row, column: this.#column } = this.#main);
    }
  }
}

export class Terminal {
  readonly display = new Display();
  readonly #child: ChildProcess;
  #raw = '';

  /**
   * @param command words for a shell; what follows when it has ended is `ended CODE`, and `restored` if the terminal's modes are as they were
   */
  constructor(command: string, columns: number, rows: number, env: NodeJS.ProcessEnv = {}) {
    const script = [
      `stty rows ${rows} cols ${columns}`,
      'before=$(stty -g)',
      'echo "tty=$(tty)"',
      `sh -c 'echo "pid=$$"; exec ${command}'`,
      'code=$?',
      '[ "$(stty -g)" = "$before" ] && echo restored',
      'echo "ended $code"',
    ].join('; ');
    this.#child = spawn('script', ['-qfec', script, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, TERM: 'xterm', TZ: 'UTC', NO_COLOR: '', SHELL: '/bin/sh', ...env },
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.#raw += text;
      this.display.read(text);
    });
  }

  type(keys: string): void {
    this.#child.stdin!.write(keys);
  }

  resize(columns: number, rows: number): void {
    const [, tty] = /tty=(\S+)/.exec(this.#raw)!;
    execFileSync('stty', ['-F', tty, 'rows', String(rows), 'cols', String(columns)]);
  }

  signal(name: NodeJS.Signals): void {
    process.kill(Number(/pid=(\d+)/.exec(this.#raw)![1]), name);
  }

  /** Waits until the screen is as wanted. */
  async until(wanted: (lines: readonly string[], display: Display) => boolean, what: string): Promise<void> {
    const deadline = performance.now() + TIMEOUT_MS;
    while (!wanted(this.display.text(), this.display)) {
      if (performance.now() > deadline) assert.fail(`not ${what}:\n${this.display.text().join('\n')}`);
      await delay(20);
    }
  }

  shows(part: string | RegExp): Promise<void> {
    const wanted = (line: string): boolean =>
      typeof part === 'string' ? line.includes(part) : part.test(line);
    return this.until((lines) => lines.some(wanted), `shown: ${part}`);
  }

  /** Lets the shell around the command come to its end. */
  async close(): Promise<void> {
    this.#child.stdin!.end();
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const pid = /pid=(\d+)/.exec(this.#raw)?.[1];
    if (pid !== undefined) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // it has ended
      }
    }
    await once(this.#child, 'exit');
  }
}
