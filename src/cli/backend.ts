/** `anyhop backend add` and `remove`: another backend in a pool, or one less. */
import { Argument, Command, InvalidArgumentError } from 'commander';
import type { NewBackend } from '../config/edit/wanted.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../config/name-fields.js';
import { BACKEND_ID_MAX, WEIGHT_MAX } from '../core/limits.js';
import { parseAddress } from '../packet/address.js';
import type { FleetBackendOptions } from './fleet-backend.js';
import { fleetChangeOptions, fleetJsonOption } from './fleet-options.js';
import { changeInFleet } from './fleet-or-node.js';
import { between } from './number.js';

interface AddOptions extends FleetBackendOptions {
  readonly pool: string;
  readonly weight?: number;
  readonly id?: number;
  readonly agent: boolean;
}

interface RemoveOptions extends FleetBackendOptions {
  readonly pool?: string;
}

export function backendCommand(): Command {
  return new Command('backend')
    .summary('add a backend to a pool of the fleet, or remove one')
    .description(
      'Adds a backend to a pool of the fleet, or removes one: on every node and agent, in one step.',
    )
    .addCommand(addCommand())
    .addCommand(removeCommand());
}

function addCommand(): Command {
  return changing('add')
    .summary('add a backend to a pool')
    .description(
      'Writes a backend into the config in force, and puts that in force everywhere. Agents know it before forwarders send to it.',
    )
    .addArgument(new Argument('<name>', NAME_EXPECTED).argParser(parseName))
    .addArgument(new Argument('<address>', 'its address in the underlay').argParser(parseUnderlay))
    .requiredOption('-p, --pool <name>', 'the pool')
    .option(
      '--weight <number>',
      `share of the flows, 0 to ${WEIGHT_MAX}; 1 by default`,
      between(0, WEIGHT_MAX),
    )
    .option(
      '--id <number>',
      `id in GRE keys, 1 to ${BACKEND_ID_MAX}; the low 15 bits of its address by default`,
      between(1, BACKEND_ID_MAX),
    )
    .option('--no-agent', 'the host runs no agent: it has a plain kernel GRE tunnel')
    .addHelpText(
      'after',
      `
Comments and order of the config stay: "anyhop fleet export" shows it. A backend that is there already, just so, changes nothing.
Exit codes: as of "anyhop fleet apply".

Examples:
  anyhop backend add web-7 10.1.0.17 --pool web --plan
  anyhop backend add web-7 10.1.0.17 --pool web --weight 2`,
    )
    .action(async (name: string, address: string, options: AddOptions) => {
      const { pool, weight, id, agent } = options;
      const entry: NewBackend = {
        name,
        address,
        ...(weight !== undefined && { weight }),
        ...(id !== undefined && { id }),
        ...(!agent && { agent }),
      };
      await changeInFleet(
        { kind: 'add', pool, entry },
        `backend add ${name} ${address} to the pool ${pool}`,
        options,
      );
    });
}

function removeCommand(): Command {
  return changing('remove')
    .summary('remove a backend from its pools')
    .description(
      'Takes a backend out of the config in force, and puts that in force everywhere. Drain it first: what it still has breaks.',
    )
    .addArgument(new Argument('<name>', 'its name in the config').argParser(parseName))
    .option('-p, --pool <name>', 'only from this pool (default: every pool that has the backend)')
    .addHelpText(
      'after',
      `
While the backend drains and still has connections, the change waits, and the command with it; drain_deadline ends that. Ctrl-C takes the
change back. Comments between backends stay.
Exit codes: as of "anyhop fleet apply".

Examples:
  anyhop drain web-2 --fleet && anyhop backend remove web-2`,
    )
    .action(async (name: string, options: RemoveOptions) => {
      await changeInFleet(
        { kind: 'remove', backend: name, pool: options.pool },
        `backend remove ${name}`,
        options,
      );
    });
}

function changing(name: string): Command {
  const command = new Command(name)
    .option('--plan', 'change nothing: print which slots would move and which connections would break')
    .option('--force', 'do not wait, even if connections break')
    .addOption(fleetJsonOption());
  for (const option of fleetChangeOptions()) command.addOption(option);
  return command;
}

function parseName(text: string): string {
  if (NAME_PATTERN.test(text)) return text;
  throw new InvalidArgumentError(`Expected ${NAME_EXPECTED}.`);
}

function parseUnderlay(text: string): string {
  const address = parseAddress(text);
  if (address !== undefined) return address.text;
  throw new InvalidArgumentError('Expected an IPv4 or IPv6 address.');
}
