/** `anyhop l7 run`: runs HAProxy on a proxy host, in the foreground. */
import { Command, Option } from 'commander';
import { revisionDirectory } from '../config/fleet/kept.js';
import type { RevisionText } from '../config/load.js';
import type { LoadedConfig } from '../config/types.js';
import { createLog, LOG_LEVELS, type Logger, type LogLevel } from '../core/log.js';
import { LateEvents } from '../events/late.js';
import { forbidDumps } from '../ffi/process.js';
import { runL7 } from '../l7/run.js';
import { ProxyDiscovery } from './discover-l7.js';
import { findFirst } from './discover-own.js';
import { isInFleet } from './fleet-file.js';
import { type L7PlaceOptions, loadL7, runDirOption } from './l7-place.js';
import { configOption } from './options.js';

interface RunOptions extends L7PlaceOptions {
  readonly logLevel: LogLevel;
}

export function l7RunCommand(): Command {
  return new Command('run')
    .summary('run HAProxy on this proxy host by the section l7 of the config')
    .description(
      "Renders HAProxy's configuration, has it checked, starts HAProxy, keeps it running, and reloads it when the config changes. The access log goes to " +
        "standard output, anyhop's own log to standard error, one JSON object a line (readable text on a terminal).",
    )
    .addOption(configOption())
    .addOption(runDirOption())
    .addOption(new Option('--log-level <level>', 'lowest level to log').choices(LOG_LEVELS).default('info'))
    .addHelpText(
      'after',
      `
As root, HAProxy runs as the user l7.user (haproxy) that may bind ports below 1024 and nothing else.
  SIGHUP   reads the config again, as "anyhop l7 reload" does. A wrong config is refused and changes nothing
  SIGTERM  drains this host, then ends: the forwarders send no new connection, HAProxy ends those that it has. At most twice
           l7.drain_deadline and ten seconds. The host stays drained until "anyhop l7 run" serves again
  SIGINT   lets HAProxy end its connections, and ends
  A second signal ends HAProxy and its connections at once.

Health checks of the pool ask /anyhop-l7 on port 9612 (l7.health_port) of the host's underlay address. The answer is 503 when HAProxy does not
serve, or no upstream has a server.

Exit codes: 0 stopped by a signal, 1 failed while running, 2 wrong config or usage, 3 the machine lacks something.

Examples:
  anyhop l7 check -c /etc/anyhop/anyhop.yaml && anyhop l7 run -c /etc/anyhop/anyhop.yaml
  anyhop l7 run -c /etc/anyhop/anyhop.yaml >>/var/log/anyhop/access.log`,
    )
    .action(async (options: RunOptions) => {
      const events = new LateEvents(createLog(options.logLevel));
      forbidDumps(events.log);
      const { log } = events;
      const keeping = (config: LoadedConfig<'l7'>): LoadedConfig<'l7'> => {
        events.keepIn({ directory: config.l7.runDirectory, name: 'l7', field: 'l7.run_dir' });
        return config;
      };
      process.exitCode = await events.during(() =>
        isInFleet(options.config)
          ? runInFleet(options, (revision) => keeping(loadL7(options, { revision })), log)
          : runAlone(options, keeping, log),
      );
    });
}

/** Serves by its own file, with the servers that it finds. */
async function runAlone(
  options: RunOptions,
  keeping: (config: LoadedConfig<'l7'>) => LoadedConfig<'l7'>,
  log: Logger,
): Promise<number> {
  const { config: file } = options;
  const place = { kind: 'upstream', file, directory: revisionDirectory(file), log } as const;
  await findFirst(place);
  const discovery = new ProxyDiscovery(options, place);
  try {
    return await runL7(() => keeping(discovery.load()), log, {
      serves: (actions) => discovery.serves(actions),
      discovery: () => discovery.status(),
    });
  } finally {
    await discovery.close();
  }
}

/** Serves by the config of the fleet. */
async function runInFleet(
  { config: file }: RunOptions,
  read: (revision: RevisionText) => LoadedConfig<'l7'>,
  log: Logger,
): Promise<number> {
  const { join, RevisionReader, telling } = await import('./fleet-join.js');
  const { fleetDigest } = await import('../fleet/digest.js');
  const { member, first } = await join({
    ...{ role: 'l7', file, name: undefined, stateDir: undefined, read, log },
  });
  const reader = new RevisionReader(read);
  let inForce = first;
  try {
    return await runL7(() => read(inForce), log, {
      serves: (actions) => {
        member.serve(
          telling({
            prepare: async (_, text) => {
              const config = reader.anew(text);
              await actions.prepare(config);
              return { digest: fleetDigest(config), waits: [] };
            },
            release: () => reader.forget(),
            activate: async (_, text) => {
              await actions.take(() => reader.again(text));
              reader.forget();
              inForce = text;
            },
            standing: () => {
              const reason = actions.notReady();
              return { ready: reason === undefined, ...(reason !== undefined && { reason }) };
            },
          }),
        );
      },
    });
  } finally {
    await member.close();
  }
}
