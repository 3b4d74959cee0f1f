/** The only way from a command to a terminal: whatever text comes from elsewhere, the terminal shows it and obeys none of it. */
import { printableLines } from '../core/printable.js';

/** Text that a command was asked for. */
export function writeOut(text: string): void {
  process.stdout.write(printableLines(text));
}

/** What is said beside it: progress, warnings, errors. */
export function writeError(text: string): void {
  process.stderr.write(printableLines(text));
}

/** Our own control sequences (ECMA-48), never anything else. */
export function writeControl(sequence: ControlSequence, stream: NodeJS.WriteStream): void {
  stream.write(sequence);
}

/** Cursor to the top, erase the screen. */
export const HOME = '\x1b[H\x1b[J';
/** Back to the start of the line, and erase it. */
export const LINE_START = '\r\x1b[K';
type ControlSequence = typeof HOME | typeof LINE_START;
