/** `anyhop fleet diff`: what changed from one revision to another. */
import { Command } from 'commander';
import { textOf } from '../fleet/blob.js';
import { parseNumber } from './fleet-apply.js';
import { candidateOf, changesOf, planOf } from './fleet-change.js';
import { fleetJsonOption } from './fleet-options.js';
import { withStore } from './fleet-place.js';
import { revisionOf } from './fleet-revision.js';
import { type ConfigOptions, configOption } from './options.js';
import { writeResult } from './output.js';
import { drawFilePlan } from './plan-text.js';

export function fleetDiffCommand(): Command {
  return new Command('diff')
    .summary('show what changed from one revision to another')
    .description(
      'Shows what changed from one revision to another: backends, settings and services, and the slots that moved.',
    )
    .argument('<from>', 'number of a revision', parseNumber)
    .argument('<to>', 'number of a revision', parseNumber)
    .addOption(configOption())
    .addOption(fleetJsonOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 shown, 1 the store does not answer, 2 wrong config or usage, such as an unknown revision.

Example:
  anyhop fleet diff 6 7`,
    )
    .action(async (from: number, to: number, options: ConfigOptions & { readonly json?: true }) => {
      await withStore(options, async (store, fleet) => {
        const [before, after] = await Promise.all(
          [from, to].map(async (number) => {
            const found = await revisionOf(store, fleet, number);
            return candidateOf(await textOf(store, found), `revision ${number}`);
          }),
        );
        const plan = planOf(before, after!);
        writeResult(options.json, { from, to, changes: changesOf(plan), ...plan }, () => drawFilePlan(plan));
      });
    });
}
