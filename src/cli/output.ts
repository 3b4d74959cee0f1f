/** The only way from a command to a terminal, which shows control characters in foreign text and never obeys them. */
import { printableLines } from '../core/printable.js';

/** Writes the output of a command. */
export function writeOut(text: string): void {
  process.stdout.write(printableLines(text));
}

/** Writes what a command has found: one JSON object with --json, words otherwise. */
export function writeResult<T>(json: boolean | undefined, value: T, draw: (value: T) => string): void {
  writeOut(json ? `${JSON.stringify(value)}\n` : draw(value));
}

/** Writes progress, warnings and errors. */
export function writeError(text: string): void {
  process.stderr.write(printableLines(text));
}

/** Writes one of anyhop's own control sequences (ECMA-48). */
export function writeControl(sequence: ControlSequence, stream: NodeJS.WriteStream): void {
  stream.write(sequence);
}

/** Cursor to the top; clear the screen. */
export const HOME = '\x1b[H\x1b[J';
/** Cursor to the start of the line; clear it. */
export const LINE_START = '\r\x1b[K';
type ControlSequence = typeof HOME | typeof LINE_START;
