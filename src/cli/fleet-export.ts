/** `anyhop fleet export`: the config that is in force, as a file. */
import { Command } from 'commander';
import { textOf } from '../fleet/blob.js';
import { refused } from '../fleet/refused.js';
import { readFleetView } from '../fleet/view.js';
import { withStore } from './fleet-place.js';
import { type ConfigOptions, configOption } from './options.js';
import { writeOut } from './output.js';

export function fleetExportCommand(): Command {
  return new Command('export')
    .summary('print the config that is in force')
    .description('Prints the config that is in force in the fleet, as it was applied, comments and all.')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Exit codes: 0 printed, 1 nothing is in force, or the store does not answer, 2 wrong config.

Example:
  anyhop fleet export > fleet.yaml`,
    )
    .action(async (options: ConfigOptions) => {
      await withStore(options, async (store, fleet) => {
        const { active } = await readFleetView(store, fleet);
        if (active === undefined)
          throw refused('nothing is in force in the fleet', '`anyhop fleet apply` puts a config in force.');
        writeOut(await textOf(store, active));
      });
    });
}
