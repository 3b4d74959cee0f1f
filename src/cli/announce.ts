/** `anyhop announce`: tells routers of the VIPs; and by its options, what is said to the process that does. Each mode is a file of its own. */
import { Command, Option } from 'commander';
import { AnyhopError } from '../core/errors.js';
import { LOG_LEVELS, type LogLevel } from '../core/log.js';
import { type FeedValues, feedDaemon, feedOption, feedOptions } from './announce-feed.js';
import type { AnnounceOptions } from './announce-place.js';
import { formatsText, type PrintValues, printConfig, printOption, printOptions } from './announce-print.js';
import { configOption } from './options.js';

interface Options extends AnnounceOptions, Omit<PrintValues, 'print'>, Omit<FeedValues, 'feed'> {
  readonly print?: string;
  readonly feed?: FeedValues['feed'];
  readonly status?: true;
  readonly withdraw?: true;
  readonly resume?: true;
  readonly region?: true;
  readonly once?: true;
  readonly prepare?: true;
  readonly logLevel: LogLevel;
}

/** As commander calls their values. */
function namesOf(options: readonly Option[]): string[] {
  return options.map((option) => option.attributeName());
}

/** What the command does instead of following the node, by option; and the options that go with it beside -c and --name. */
const MODES: Readonly<
  Record<string, { readonly takes: readonly string[]; run(options: Options): Promise<void> }>
> = {
  status: {
    takes: ['json'],
    run: async (options) => (await import('./announce-status.js')).showAnnounceStatus(options),
  },
  withdraw: {
    takes: ['json'],
    run: async (options) => (await import('./announce-tell.js')).withdrawAll(options),
  },
  resume: {
    takes: ['json'],
    run: async (options) => (await import('./announce-tell.js')).resumeAll(options),
  },
  print: {
    takes: namesOf(printOptions()),
    run: ({ print, ...options }) => printConfig({ ...options, print: print! }, options),
  },
  feed: {
    takes: [...namesOf(feedOptions()), 'neighbor', 'logLevel'],
    run: ({ feed, ...options }) => feedDaemon({ ...options, feed: feed! }, options.logLevel),
  },
  region: {
    takes: ['once', 'prepare', 'json', 'logLevel'],
    run: async (options) => (await import('./announce-region.js')).steerDns(options, options.logLevel),
  },
};
/** Options that need one of the modes, or its absence. */
const FOLLOWS_TAKES = ['logLevel'];
const EVERYWHERE = ['config', 'name', 'stateDir'];

export function announceCommand(): Command {
  const command = new Command('announce')
    .summary('tell routers which VIPs this node is ready for, through a routing daemon')
    .description(
      'Follows the node that runs on this host, and keeps a row of a kernel routing table for each VIP that it is ready for. BIRD, FRR or ' +
        'another daemon exports these rows, so routers learn within milliseconds what the node can forward. Runs in the foreground; logs go ' +
        'to standard error.',
    )
    .addOption(configOption())
    .addOption(
      new Option('--name <name>', 'name of this node; overrides the config file (env: ANYHOP_NODE_NAME)'),
    )
    .addOption(
      new Option(
        '--state-dir <directory>',
        'in a fleet with a store: the --state-dir of "anyhop run" here, which keeps the revision in force; overrides the config file ' +
          '(env: ANYHOP_STATE_DIR)',
      ),
    )
    .addOption(new Option('--log-level <level>', 'lowest level to log').choices(LOG_LEVELS).default('info'))
    .addHelpText(
      'after',
      `
A row is \`blackhole VIP/32 table 179 proto 179 metric 100\` (IPv6: /128; section announce of the config). It is there with metric 100 while
the node and a service of the VIP are ready, with 200 from the moment the node is asked to stop, for node.stop_delay, and absent otherwise. No
other row is touched. Show them: ip route show table 179; ip -6 route show table 179.
If the node's process dies, the engine xdp forwards on, and rows stay for announce.orphan_time, while its program, the link and a next hop are
as they were. With other engines they go at once.
SIGHUP reads the config again. SIGTERM and SIGINT end the process; rows stay, and the next process adopts them. --withdraw works without a
process too, and holds until --resume.
With announce.listen, DNS hosts can ask it; on those runs "anyhop announce --region", by itself, as the user of gdnsd. It needs no capability.
It needs CAP_NET_ADMIN otherwise. One process owns a table; a second one is refused.
Exit codes: 0 done or stopped by a signal, 1 no process answers, 2 wrong config or usage, 3 the machine lacks something or another process owns
the table.

Formats of --print (docs/routing-daemons.md, docs/active-passive.md, docs/regions.md):
${formatsText()}

Examples:
  anyhop announce -c /etc/anyhop/anyhop.yaml
  anyhop announce --status
  anyhop announce --withdraw && systemctl restart bird && anyhop announce --resume
  anyhop announce --print bird --neighbor 192.0.2.1=64512 --neighbor 2001:db8::1=64512`,
    )
    .action(async (options: Options, command: Command) => {
      const mode = modeOf(command);
      if (mode !== undefined) {
        await MODES[mode]!.run(options);
        return;
      }
      await (await import('./announce-run.js')).followNode(options, options.logLevel);
    });
  for (const option of [...modeOptions(), ...regionOptions(), ...printOptions(), ...feedOptions()])
    command.addOption(option);
  return command;
}

function modeOptions(): Option[] {
  return [
    new Option('--status', 'show what is announced, per VIP, since when and why'),
    new Option('--withdraw', 'take all rows away, until --resume'),
    new Option('--resume', 'announce again what --withdraw took away, after announce.rise'),
    new Option('--json', 'with --status, --withdraw, --resume or --region --once: print one JSON object'),
    printOption(),
    feedOption(),
    new Option(
      '--region',
      'on a DNS host: ask the nodes of all regions, and keep what gdnsd answers (docs/regions.md)',
    ),
  ].map((option) => option.helpGroup('Instead of following the node:'));
}

function regionOptions(): Option[] {
  return [
    new Option('--once', 'ask each node once, show what they say, and write nothing'),
    new Option('--prepare', 'the same, and write the files, before gdnsd starts'),
  ].map((option) => option.helpGroup('With --region:'));
}

/** @throws AnyhopError ERR_USAGE for options that make no sense together */
function modeOf(command: Command): string | undefined {
  const given = command.options
    .map((option) => option.attributeName())
    .filter((name) => command.getOptionValueSource(name) === 'cli');
  const modes = given.filter((name) => Object.hasOwn(MODES, name));
  const [mode, second] = modes;
  if (second !== undefined)
    throw usage(`${flag(mode!)} and ${flag(second)} are two things to do`, 'Give one of them.');
  const takes = [...EVERYWHERE, ...(mode === undefined ? FOLLOWS_TAKES : [mode, ...MODES[mode]!.takes])];
  const strange = given.find((name) => !takes.includes(name));
  if (strange === undefined) return mode;
  const goesWith = Object.keys(MODES).filter((name) => MODES[name]!.takes.includes(strange));
  throw usage(
    `${flag(strange)} means nothing ${mode === undefined ? 'here' : `with ${flag(mode)}`}`,
    goesWith.length > 0
      ? `It goes with ${goesWith.map(flag).join(', ')}.`
      : `It goes without ${flag(mode!)}.`,
  );
}

const flag = (name: string): string =>
  `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function usage(message: string, hint: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', message, { hint });
}
