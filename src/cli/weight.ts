/** `anyhop weight`: a backend gets another share of the flows. */
import { Argument, type Command, InvalidArgumentError } from 'commander';
import { WEIGHT_MAX } from '../core/limits.js';
import { type BackendCommandOptions, backendCommand, changeBackend } from './change.js';

export function weightCommand(): Command {
  return backendCommand('weight')
    .summary("change a backend's share of the flows")
    .description('Tells a running node the weight of a backend, whatever the config file says.')
    .addArgument(
      new Argument(
        '<weight>',
        `relative to the other backends of the pool, 0 (no flows) to ${WEIGHT_MAX}`,
      ).argParser(parseWeight),
    )
    .addHelpText(
      'after',
      `
Another weight makes another table: slots of other backends move too, and second chance keeps their connections for the
settle time. This waits for the change before it to settle, as every planned change does. A weight that waits is replaced.
It holds until the config file says the same or no longer has the backend, over restarts too. One node is told; run it on each.
Exit codes: 0 done or waiting its turn, 1 refused or no node answers, 2 wrong usage, such as a backend that is not there.

Examples:
  anyhop weight web-2 5 --plan
  anyhop weight web-2 5
  anyhop weight web-2 0 --pool web`,
    )
    .action(async (backend: string, weight: number, options: BackendCommandOptions) => {
      await changeBackend('/weight', { backend, weight }, options);
    });
}

function parseWeight(text: string): number {
  const weight = Number(text);
  if (/^\d{1,5}$/.test(text) && weight <= WEIGHT_MAX) return weight;
  throw new InvalidArgumentError(`It is a whole number, 0 to ${WEIGHT_MAX}.`);
}
