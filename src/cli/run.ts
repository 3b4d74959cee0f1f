/** `anyhop run`: forward packets, in the foreground. */
import { Command, Option } from 'commander';
import { runNode } from '../control/node.js';
import { createLog, LOG_LEVELS, type LogLevel } from '../core/log.js';
import { type ConfigOptions, configOption, loadFor, type NodeOptions, nodeOptions } from './options.js';

interface RunOptions extends ConfigOptions, NodeOptions {
  readonly logLevel: LogLevel;
}

export function runCommand(): Command {
  const command = new Command('run')
    .summary('forward packets on an interface')
    .description(
      'Forwards packets for the configured services until SIGINT or SIGTERM, then logs its final counters. Logs go to ' +
        'standard error, one JSON object a line (readable text on a terminal). While it runs, the host itself does ' +
        'not see packets for the VIPs; everything else on the interface is left alone. What it does meanwhile: ' +
        '`anyhop status`.',
    )
    .addOption(configOption())
    .addOption(new Option('--log-level <level>', 'least level to log').choices(LOG_LEVELS).default('info'))
    .addHelpText(
      'after',
      `
Needs root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON and CAP_IPC_LOCK, and a route to every backend. The engine
(node.engine) is the fastest that works here; the log says which, and why.
SIGINT (Ctrl-C) takes everything back. After SIGTERM the engine xdp forwards on in the kernel until the next "anyhop run" takes
over or "anyhop stop" ends it; the others take everything back too.
Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong config or usage, 3 the machine lacks something.

Examples:
  anyhop check -c anyhop.yaml && anyhop run -c anyhop.yaml
  anyhop run -c fleet.yaml --name edge-2 --interface eth1 --source 10.0.0.2`,
    )
    .action(async (options: RunOptions) => {
      const config = loadFor('run', options);
      await runNode(config, createLog(options.logLevel));
    });
  for (const option of nodeOptions()) command.addOption(option);
  return command;
}
