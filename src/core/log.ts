/**
 * The log: pino, one JSON object a line on standard error, so that standard output belongs to what a command was
 * asked for. On a terminal the lines are made readable instead. Nothing on the packet path logs.
 */
import { type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { type LogLosses, writeLine } from './log-sink.js';

export type { Logger };

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Log lines are rare, and written before the call returns (log-sink.ts). */
export function createLog(
  level: LogLevel = 'info',
  terminal: boolean = process.stderr.isTTY === true,
): Logger {
  const shown = terminal
    ? prettyFactory({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' })
    : (line: string) => line;
  const notice = (losses: LogLosses): string => shown(lossLine(losses));
  const stream = { write: (line: string) => writeLine(shown(line), notice) };
  return pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}

function lossLine({ lines, why }: LogLosses): string {
  const msg = `${lines} ${lines === 1 ? 'line' : 'lines'} before this one could not be written to the log: ${why}`;
  const time = new Date().toISOString();
  return `${JSON.stringify({ level: pino.levels.values['warn'], time, pid: process.pid, event: 'log_lost', lines, why, msg })}\n`;
}
