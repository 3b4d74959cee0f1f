/** Shows something once, or again and again for as long as somebody watches it. */
import { Option } from 'commander';
import { AnyhopError } from '../core/errors.js';
import { clockTime } from '../core/time.js';
import { Refusal } from './control-client.js';
import { secondsBetween } from './number.js';
import { HOME, writeControl, writeError, writeOut } from './output.js';

export interface WatchOptions {
  readonly json?: true;
  /** Seconds; true for the default; undefined to look once. */
  readonly watch?: number | true;
}

const WATCH_SECONDS_DEFAULT = 2;

/** Of a command that shows something. */
export function watchOptions(): [json: Option, watch: Option] {
  return [
    new Option('--json', 'print one JSON object (with --watch one a line)'),
    new Option(
      '-w, --watch [seconds]',
      `repeat every so many seconds (default: ${WATCH_SECONDS_DEFAULT}) until interrupted`,
    ).argParser(secondsBetween(0.1, 3600)),
  ];
}

/** @param look the text to print */
export async function follow({ json, watch }: WatchOptions, look: () => Promise<string>): Promise<void> {
  const everySeconds = watch === true ? WATCH_SECONDS_DEFAULT : watch;
  if (everySeconds === undefined) {
    writeOut(await look());
    return;
  }
  let last = '';
  for (;;) {
    const time = clockTime(new Date().toISOString());
    try {
      last = await look();
      show(json ? last : `at ${time}\n${last}`);
    } catch (error) {
      if (last === '' || !isAway(error)) throw error; // it was never there, or does not have what was asked for
      const away = `at ${time} the node does not answer: ${error.message}\n`;
      if (json) writeError(away);
      else show(process.stdout.isTTY ? `${away}Its last answer:\n${last}` : away);
    }
    await new Promise((resolve) => setTimeout(resolve, everySeconds * 1000));
  }
}

function show(text: string): void {
  if (process.stdout.isTTY) writeControl(HOME, process.stdout);
  writeOut(text);
}

/** Whether the process is starting or stopping: it does not answer, or is not ready to. */
function isAway(error: unknown): error is AnyhopError {
  if (error instanceof Refusal) return ['ERR_STARTING', 'ERR_ENDING'].includes(error.report.code);
  return error instanceof AnyhopError && error.code === 'ERR_SOCKET';
}
