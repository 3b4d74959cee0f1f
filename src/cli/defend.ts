/** `anyhop defend`: what a node does against floods, and lists that are changed while it runs; one file a sub-command. */
import { Command } from 'commander';

// In the order of help: what one does first comes first.
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  status: async () => (await import('./defend-status.js')).defendStatusCommand(),
  top: async () => (await import('./defend-top.js')).defendTopCommand(),
  block: async () => (await import('./defend-change.js')).defendBlockCommand(),
  allow: async () => (await import('./defend-change.js')).defendAllowCommand(),
  unblock: async () => (await import('./defend-change.js')).defendUnblockCommand(),
};

export async function defendCommand(): Promise<Command> {
  const command = new Command('defend')
    .summary('floods: what a node drops and answers, who sends most, and whom to block')
    .description(
      'What a node does against floods, by the section defend of its config: lists of prefixes, limits for sources and services, and SYN ' +
        'cookies. In observe mode it counts what it would drop, and drops nothing.',
    );
  command.addHelpText(
    'after',
    `
From the first config to a flood:
  1. Write the section with mode: observe, reload, and look for a day: anyhop defend status
     Each rule says what it would have dropped. Raise a limit that would have hit clients.
  2. Set mode: enforce, and reload. SYN cookies need agents that can take them: the status names the backends that cannot, and why.
  3. In a flood, who sends most: anyhop defend top
  4. Block it for a while, on every node: anyhop defend block 198.51.100.0/24 --for 10m

"anyhop defend COMMAND --help" has the options of each. docs/defend.md is a walk through all of it.`,
  );
  const [, , group, asked = ''] = process.argv;
  const one = group === 'defend' && Object.hasOwn(COMMANDS, asked) ? COMMANDS[asked] : undefined;
  for (const load of one === undefined ? Object.values(COMMANDS) : [one]) command.addCommand(await load());
  return command;
}
