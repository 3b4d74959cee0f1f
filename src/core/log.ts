/**
 * The log: pino, one JSON object a line on standard error, so that standard output has only what a command was asked for. On a
 * terminal, lines are readable text. Nothing on the packet path logs. Values may come from anywhere, so control characters are
 * escaped, in JSON too, since people also read that.
 */
import { createRequire } from 'node:module';
import { pino } from 'pino';
import type { LogEventName } from './log-events.js';
import { type LogLosses, writeLine } from './log-sink.js';
import { printableLines } from './printable.js';

/** The event of a line, and its facts. */
export interface LogFields {
  readonly event: LogEventName;
  readonly [fact: string]: unknown;
}

export type LogLine = (fields: LogFields, text: string) => void;

export interface Logger {
  readonly debug: LogLine;
  readonly info: LogLine;
  readonly warn: LogLine;
  readonly error: LogLine;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes each line before the call returns (log-sink.ts); log lines are rare. */
export function createLog(
  level: LogLevel = 'info',
  terminal: boolean = process.stderr.isTTY === true,
): Logger {
  const shown = terminal ? readable() : printableLines;
  const notice = (losses: LogLosses): string => shown(lossLine(losses));
  const stream = { write: (line: string) => writeLine(shown(line), notice) };
  return pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}

/** Formats a line for people, with control characters escaped. */
function readable(): (line: string) => string {
  // Only when it is needed: it takes 4 MB.
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
  const pretty = prettyFactory({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' });
  return (line) => pretty(JSON.parse(line, shownValue));
}

/** A reviver for JSON.parse that escapes strings and keys. */
function shownValue(_: string, value: unknown): unknown {
  if (typeof value === 'string') return printableLines(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [printableLines(key), each]));
}

function lossLine({ lines, why }: LogLosses): string {
  const msg = `${lines} ${lines === 1 ? 'line' : 'lines'} before this one could not be written to the log: ${why}`;
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: pino.levels.values['warn'], time, pid: process.pid, event: 'log_lost', lines, why, msg })}\n`;
}
