/** `anyhop run`: forwards packets, in the foreground. */
import { Command, Option } from 'commander';
import { keepEdits, keptEdits } from '../config/edit/kept.js';
import { revisionDirectory } from '../config/fleet/kept.js';
import { loadConfigWithText, parseConfig } from '../config/load.js';
import { createLog, LOG_LEVELS, type Logger } from '../core/log.js';
import { forbidDumps } from '../ffi/process.js';
import type { ReadConfig } from '../node/config-file.js';
import { runNode } from '../node/run.js';
import { RuntimeEdits } from '../node/runtime-edits.js';
import { LoneDiscovery } from './discover-node.js';
import { findFirst } from './discover-own.js';
import { isInFleet } from './fleet-file.js';
import { configOption, engineOptions, nodeOptions, stateOption } from './options.js';
import { firstConfig, loadOptions, type RunCommandOptions } from './run-config.js';

export function runCommand(): Command {
  const command = new Command('run')
    .summary('forward packets on an interface')
    .description(
      'Forwards packets for the configured services until SIGINT or SIGTERM, then logs its final counters. Logs go to ' +
        'standard error, one JSON object a line (readable text on a terminal). While it runs, packets for the VIPs do not ' +
        'reach the host; everything else on the interface does. `anyhop status` shows its state.',
    )
    .addOption(configOption())
    .addOption(new Option('--log-level <level>', 'lowest level to log').choices(LOG_LEVELS).default('info'))
    .option('--force', 'take over from a program with another version of the flow hash; connections break')
    .addHelpText(
      'after',
      `
It needs a route to every backend, and root or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON and CAP_IPC_LOCK. With engine auto
it uses the fastest engine that works here; the log says which, and why.
On a signal to stop, the node first becomes not ready ("anyhop ready") and keeps forwarding for node.stop_delay. A second signal skips
this delay. SIGINT (Ctrl-C) then ends forwarding. After SIGTERM, the engine xdp keeps forwarding in the kernel until the next
"anyhop run" takes over or "anyhop stop" ends it; with the other engines, forwarding ends. SIGHUP reads the config file again, as
"anyhop reload" does. --state-dir keeps what must survive a restart: remembered states, changes that wait, and overrides.
Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong config or usage, 3 the machine lacks something.

Examples:
  anyhop check -c anyhop.yaml && anyhop run -c anyhop.yaml
  anyhop run -c fleet.yaml --name edge-2 --interface eth1 --source 10.0.0.2`,
    )
    .action(async (options: RunCommandOptions) => {
      const log = createLog(options.logLevel);
      forbidDumps(log);
      if (isInFleet(options.config)) {
        const { runInFleet } = await import('./run-fleet.js');
        await runInFleet(options, log);
        return;
      }
      const { config: file, stateDir } = options;
      const directory = revisionDirectory(file, stateDir);
      const place = { kind: 'pool', file, directory, log } as const;
      await findFirst(place);
      const load = (): ReadConfig => loadConfigWithText(options.config, loadOptions(options));
      const edits = runtimeEdits(options, log);
      const first = firstConfig(() => edits.over(load()), options, log);
      edits.begin(first.first);
      const discovery = new LoneDiscovery({ edits, place });
      await runNode({ ...first, load, edits, discovery, force: options.force === true }, log);
    });
  for (const option of [...nodeOptions(), ...engineOptions(), stateOption()]) command.addOption(option);
  return command;
}

function runtimeEdits(options: RunCommandOptions, log: Logger): RuntimeEdits {
  const { config: file, stateDir } = options;
  const directory = revisionDirectory(file, stateDir);
  return new RuntimeEdits({
    file,
    kept: keptEdits(directory, file),
    parse: (text) => parseConfig(text, file, loadOptions(options)),
    keep: (edits) => keepEdits(directory, file, edits),
    log,
  });
}
