/** `anyhop l7 reload` and `weight`, and what all commands have in common that change a running proxy host. */
import { Command } from 'commander';
import { AnyhopError } from '../core/errors.js';
import { L7_WEIGHT_MAX } from '../core/limits.js';
import type { L7Change, ServerTarget } from '../l7/api.js';
import { type L7PlaceOptions, l7Socket, runDirOption, tellL7 } from './l7-place.js';
import { between } from './number.js';
import { configOption, isNamed } from './options.js';
import { writeError, writeResult } from './output.js';

export interface ChangeOptions extends L7PlaceOptions {
  readonly json?: true;
}

export function changeCommand(name: string): Command {
  return new Command(name)
    .addOption(configOption())
    .addOption(runDirOption())
    .option('--json', 'print one JSON object');
}

export function l7ReloadCommand(): Command {
  return changeCommand('reload')
    .summary('put an edited config in force')
    .description(
      'Reads the config file again and puts it in force without losing a connection. What HAProxy takes without a reload (weights, states and addresses ' +
        'of servers, certificates) changes at once. A config that is wrong, or that HAProxy refuses, changes nothing.',
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 in force, 1 no process answers, 2 the config is wrong or refused.\n\nExample:\n  anyhop l7 check && anyhop l7 reload',
    )
    .action(async (options: ChangeOptions, command: Command) => {
      const socket = l7Socket(options, isNamed(command));
      tellChange((await tellL7(socket, '/l7/reload', {})) as L7Change, options, ({ applied }) =>
        applied === 'nothing to change' ? applied : `in force ${applied}`,
      );
    });
}

export function l7WeightCommand(): Command {
  return changeCommand('weight')
    .summary('change the weight of a server')
    .description(
      'Changes the weight of UPSTREAM/SERVER, whatever the config says. It is kept until the config says the same.',
    )
    .argument('<server>', 'a server, as UPSTREAM/SERVER')
    .argument('<weight>', `0 to ${L7_WEIGHT_MAX}`, between(0, L7_WEIGHT_MAX))
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 refused, 2 wrong usage.\n\nExample:\n  anyhop l7 weight shop/shop-2 5',
    )
    .action(async (server: string, weight: number, options: ChangeOptions, command: Command) => {
      const target = serverTarget(server);
      const socket = l7Socket(options, isNamed(command));
      const change = (await tellL7(socket, '/l7/server-weight', { ...target, weight })) as L7Change;
      tellChange(change, options, serverNow(`${server} has weight ${weight}`));
    });
}

/** @param draw one line */
export function tellChange(
  change: L7Change,
  { json }: ChangeOptions,
  draw: (change: L7Change) => string,
): void {
  for (const warning of json ? [] : change.warnings) writeError(`warning: ${warning}\n`);
  writeResult(json, change, () => `${draw(change)}\n`);
}

/** What holds of a server now, and what it took. */
export function serverNow(what: string): (change: L7Change) => string {
  return ({ applied }) => {
    if (applied === 'by a reload') return `${what} (HAProxy was reloaded)`;
    return applied === 'at the next start' ? `${what} when HAProxy starts` : what;
  };
}

/** @throws AnyhopError ERR_USAGE */
export function serverTarget(text: string): ServerTarget {
  const [upstream = '', server = '', ...more] = text.split('/');
  if (upstream === '' || server === '' || more.length > 0)
    throw new AnyhopError(
      'ERR_USAGE',
      `found ${JSON.stringify(text)}; expected UPSTREAM/SERVER, such as shop/shop-1`,
    );
  return { upstream, server };
}
