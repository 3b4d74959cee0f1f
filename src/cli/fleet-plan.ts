/** `anyhop fleet plan`: what a config would change in the fleet, and who would have to take it. */
import { Command } from 'commander';
import { readFleetView } from '../fleet/view.js';
import { candidateFrom } from './fleet-candidate.js';
import { inForce, planOf, readText } from './fleet-change.js';
import { fleetJsonOption } from './fleet-options.js';
import { withStore } from './fleet-place.js';
import { type ConfigOptions, configOption } from './options.js';
import { writeResult } from './output.js';
import { drawFilePlan } from './plan-text.js';

export function fleetPlanCommand(): Command {
  return new Command('plan')
    .summary('show what a config would change in the fleet')
    .description(
      'Shows what `anyhop fleet apply` would change: slots that move and flows that break, pool by pool, and members that do not answer.',
    )
    .argument('<file>', 'the config that all hosts have in common')
    .addOption(configOption())
    .addOption(fleetJsonOption())
    .addHelpText(
      'after',
      `
All backends count as up: members judge their own health, and what would wait is said by apply.
Exit codes: 0 shown, 1 the store does not answer, 2 wrong config or usage.

Example:
  anyhop fleet plan fleet.yaml && anyhop fleet apply fleet.yaml`,
    )
    .action(async (file: string, options: ConfigOptions & { readonly json?: true }) => {
      const text = readText(file);
      await withStore(options, async (store, fleet) => {
        const view = await readFleetView(store, fleet);
        const before = await inForce(store, view);
        const { candidate, notes } = candidateFrom(text, file, before, view);
        const plan = planOf(before, candidate);
        const silent = view.members.filter(({ said }) => said === undefined).map(({ place }) => place);
        const report = {
          from: view.active?.number ?? 0,
          members: view.members.length,
          silent,
          notes,
          ...plan,
        };
        writeResult(options.json, report, () => {
          const head =
            view.active === undefined ? 'nothing is in force yet' : `against revision ${view.active.number}`;
          const away = silent.length === 0 ? '' : `; no answer from ${silent.join(', ')}`;
          return `${head}, ${view.members.length} members${away}\n${notes.map((note) => `${note}\n`).join('')}\n${drawFilePlan(plan)}`;
        });
      });
    });
}
