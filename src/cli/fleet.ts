/** `anyhop fleet`: one config for all hosts, changed everywhere at once; one file a sub-command, loaded when it is asked for. */
import { Command } from 'commander';

// In the order of help: what one does first comes first.
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  init: async () => (await import('./fleet-init.js')).fleetInitCommand(),
  plan: async () => (await import('./fleet-plan.js')).fleetPlanCommand(),
  apply: async () => (await import('./fleet-apply.js')).fleetApplyCommand(),
  status: async () => (await import('./fleet-status.js')).fleetStatusCommand(),
  log: async () => (await import('./fleet-log.js')).fleetLogCommand(),
  diff: async () => (await import('./fleet-diff.js')).fleetDiffCommand(),
  rollback: async () => (await import('./fleet-apply.js')).fleetRollbackCommand(),
  'rotate-key': async () => (await import('./fleet-rotate-key.js')).fleetRotateKeyCommand(),
  export: async () => (await import('./fleet-export.js')).fleetExportCommand(),
  forget: async () => (await import('./fleet-init.js')).fleetForgetCommand(),
};

export async function fleetCommand(): Promise<Command> {
  const command = new Command('fleet')
    .summary('one config for all nodes and agents, changed everywhere at once')
    .description(
      'A fleet keeps its config in etcd. A change is made ready on every node and agent, found to be the same everywhere, and put in force ' +
        'everywhere at once, or nowhere. Nodes take only what the operator has signed, and go on by what they have when etcd is away.',
    );
  command.addHelpText(
    'after',
    `
From a file to a fleet:
  1. anyhop fleet init --name edge --endpoint https://10.0.0.5:2379
     makes the operator's key, and prints the section fleet for the config file of every host.
  2. On each host, with that section and what is the host's own (node.name, node.interface, node.source, node.key_file):
     anyhop run, or anyhop agent
  3. anyhop fleet apply fleet.yaml -m 'first config'
  4. anyhop fleet status

"anyhop fleet COMMAND --help" has the options of each.`,
  );
  const [, , group, asked = ''] = process.argv;
  const one = group === 'fleet' && Object.hasOwn(COMMANDS, asked) ? COMMANDS[asked] : undefined;
  for (const load of one === undefined ? Object.values(COMMANDS) : [one]) command.addCommand(await load());
  return command;
}
