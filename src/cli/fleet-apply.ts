/** `anyhop fleet apply` and `rollback`: a config in force on every member at once, or on none. */
import { Command, InvalidArgumentError } from 'commander';
import { textOf } from '../fleet/blob.js';
import { candidateFrom } from './fleet-candidate.js';
import { changeFleet, type FleetChangeOptions, readText } from './fleet-change.js';
import { fleetChangeOptions, fleetJsonOption } from './fleet-options.js';
import { withStore } from './fleet-place.js';
import { revisionOf } from './fleet-revision.js';

export function fleetApplyCommand(): Command {
  return changing('apply')
    .summary('put a config in force on every member at once, or on none')
    .description(
      'Checks a config file, shows what it changes, has every member make it ready, and puts it in force everywhere at once when all have ' +
        'found the same tables. Otherwise nothing changes, and who disagrees is named with the reason.',
    )
    .argument('<file>', 'the config that all hosts have in common')
    .addHelpText(
      'after',
      `
A third change of a pool that would overlap waits until one of the two before it has settled, as on a single node; the command says until
when and waits with it. Ctrl-C takes the change back for as long as it is not in force.
Agents and proxy hosts switch before forwarders. A member that does not answer stops the change: --without leaves it out, and it is not ready from then on.
Exit codes: 0 in force, 1 refused by a member, overtaken, or the store does not answer, 2 wrong config or usage.

Examples:
  anyhop fleet plan fleet.yaml
  anyhop fleet apply fleet.yaml -m 'web-7 joins'
  anyhop fleet apply fleet.yaml --without forwarder/edge-3`,
    )
    .action(async (file: string, options: FleetChangeOptions) => {
      const text = readText(file);
      await changeFleet(options, async (_, before, view) => ({
        ...candidateFrom(text, file, before, view),
        message: options.message ?? '',
      }));
    });
}

export function fleetRollbackCommand(): Command {
  return changing('rollback')
    .summary('put the config of an earlier revision in force again')
    .description(
      'Puts the config of an earlier revision in force again, as a new revision, in the way of `anyhop fleet apply`.',
    )
    .argument('<revision>', 'its number, as `anyhop fleet log` lists it', parseNumber)
    .addHelpText(
      'after',
      `
Exit codes: as of "anyhop fleet apply".

Example:
  anyhop fleet rollback 6 -m 'web-7 was not ready'`,
    )
    .action(async (number: number, options: FleetChangeOptions) => {
      await changeFleet(options, async (store, before, view) => {
        const { text, message } = await withStore(options, async (_, fleet) => {
          const revision = await revisionOf(store, fleet, number);
          return { text: await textOf(store, revision), message: revision.message };
        });
        const why = options.message ?? `back to revision ${number}${message === '' ? '' : `: ${message}`}`;
        return { ...candidateFrom(text, `revision ${number}`, before, view, true), message: why };
      });
    });
}

function changing(name: string): Command {
  const command = new Command(name)
    .option('--force', 'do not wait, and take it also where connections break by it')
    .addOption(fleetJsonOption());
  for (const option of fleetChangeOptions()) command.addOption(option);
  return command;
}

export function parseNumber(text: string): number {
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected the number of a revision');
}
