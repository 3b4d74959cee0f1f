/** `anyhop fleet log`: who changed what, when and why. */
import { Command } from 'commander';
import { clockTime } from '../core/time.js';
import type { Revision } from '../fleet/record.js';
import { readLog } from '../fleet/view.js';
import { parseNumber } from './fleet-apply.js';
import { fleetJsonOption } from './fleet-options.js';
import { withStore } from './fleet-place.js';
import { someOf } from './format.js';
import { type ConfigOptions, configOption } from './options.js';
import { writeResult } from './output.js';

const CHANGES_SHOWN = 5;
const SHOWN_DEFAULT = 20;

export function fleetLogCommand(): Command {
  return new Command('log')
    .summary('list the revisions: who, when, why and what')
    .description(
      'Lists the revisions that were in force, the newest first: who made each of them, when, why, and what it changed. Of those that sources have made, the store keeps the newest.',
    )
    .option('-n, --number <count>', 'so many', parseNumber, SHOWN_DEFAULT)
    .addOption(configOption())
    .addOption(fleetJsonOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 shown, 1 the store does not answer, 2 wrong config or usage.

Example:
  anyhop fleet log -n 3`,
    )
    .action(async (options: ConfigOptions & { readonly number: number; readonly json?: true }) => {
      const revisions = await withStore(options, (store, fleet) => readLog(store, fleet, options.number));
      writeResult(options.json, { revisions }, () => drawLog(revisions));
    });
}

/** @param revisions the newest first; in words, what cannot be read */
export function drawLog(revisions: readonly (Revision | string)[]): string {
  return revisions
    .map((each, index) => {
      if (typeof each === 'string') return `${each}\n`;
      const { number, at, by, message, changes, force } = each;
      const head = `${number}  ${clockTime(at)}  ${by}${force ? '  --force' : ''}${message === '' ? '' : `  ${message}`}`;
      const what = changes.length === 0 ? [] : [`    ${someOf(changes, CHANGES_SHOWN)}`];
      return [...notKept(revisions[index - 1], number), head, ...what, ''].join('\n');
    })
    .join('');
}

/** @param later the revision that is listed before */
function notKept(later: Revision | string | undefined, number: number): string[] {
  if (later === undefined || typeof later === 'string' || later.number - number < 2) return [];
  const [first, last] = [number + 1, later.number - 1];
  return [first === last ? `${first}  is not kept any more` : `${first} to ${last}  are not kept any more`];
}
