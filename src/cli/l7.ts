/** `anyhop l7`: the layer-7 tier on the proxy hosts; one file a sub-command, loaded when it is asked for. */
import { Command } from 'commander';

// In the order of help: what one does first comes first.
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  check: async () => (await import('./l7-check.js')).l7CheckCommand(),
  render: async () => (await import('./l7-render.js')).l7RenderCommand(),
  run: async () => (await import('./l7-run.js')).l7RunCommand(),
  status: async () => (await import('./l7-status.js')).l7StatusCommand(),
  reload: async () => (await import('./l7-change.js')).l7ReloadCommand(),
  drain: async () => (await import('./l7-drain.js')).l7DrainCommand(),
  undrain: async () => (await import('./l7-drain.js')).l7UndrainCommand(),
  weight: async () => (await import('./l7-change.js')).l7WeightCommand(),
  key: async () => (await import('./l7-key.js')).l7KeyCommand(),
  thumbprint: async () => (await import('./l7-thumbprint.js')).l7ThumbprintCommand(),
};

export async function l7Command(): Promise<Command> {
  const command = new Command('l7')
    .summary('layer 7: run HAProxy on the proxy hosts, and see and change it')
    .description(
      'The layer-7 tier: TLS, and routing by host, path, header and cookie. The forwarders spread connections over proxy hosts, the backends of a ' +
        'pool; each runs "anyhop agent" and "anyhop l7 run", which renders, checks, starts and reloads HAProxy by the section l7 of the config.',
    );
  command.addHelpText(
    'after',
    `
From the config to requests:
  1. "services" are forwarded to a pool whose backends are the proxy hosts, with a check of /anyhop-l7 on l7.health_port and second_chance: on.
  2. "anyhop l7 key" prints a subkey for the proxy hosts, which need not have the fleet's secret. All of them read the same config file.
  3. On each proxy host, with the VIPs on lo: anyhop l7 check, then anyhop agent and anyhop l7 run.
  4. After a change of the config: anyhop l7 check && anyhop l7 reload
  5. Before a restart of the host: anyhop l7 drain --wait

"anyhop l7 COMMAND --help" has the options of each.`,
  );
  const [, , group, asked = ''] = process.argv;
  const one = group === 'l7' && Object.hasOwn(COMMANDS, asked) ? COMMANDS[asked] : undefined;
  for (const load of one === undefined ? Object.values(COMMANDS) : [one]) command.addCommand(await load());
  return command;
}
