/**
 * The log: pino, one JSON object a line on standard error, so that standard output belongs to what a command was
 * asked for. On a terminal the lines are made readable instead. Nothing on the packet path logs.
 */
import { destination, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type { Logger };

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes are synchronous: log lines are rare, and the last one before an exit must not be lost. */
export function createLog(
  level: LogLevel = 'info',
  terminal: boolean = process.stderr.isTTY === true,
): Logger {
  const stream = terminal
    ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' })
    : destination({ dest: 2, sync: true });
  return pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}
