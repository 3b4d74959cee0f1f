/** `anyhop l7 drain`, `undrain`, `weight` and `reload`: change a running proxy host. */
import { Command } from 'commander';
import { AnyhopError, EXIT } from '../core/errors.js';
import { L7_WEIGHT_MAX } from '../core/limits.js';
import type { L7Change, ServerTarget } from '../l7/api.js';
import type { L7Status } from '../l7/status.js';
import { amount } from './format.js';
import { askL7, type L7PlaceOptions, l7Socket, runDirOption, tellL7 } from './l7-place.js';
import { between } from './number.js';
import { configOption, isNamed } from './options.js';
import { writeError, writeResult } from './output.js';

interface ChangeOptions extends L7PlaceOptions {
  readonly json?: true;
}

interface DrainOptions extends ChangeOptions {
  readonly wait?: true;
}

const POLL_MS = 500;
/** Longer than a restart of `anyhop l7 run` takes. */
const SILENCE_MS_MAX = 30_000;

function changeCommand(name: string): Command {
  return new Command(name)
    .addOption(configOption())
    .addOption(runDirOption())
    .option('--json', 'print one JSON object');
}

export function l7DrainCommand(): Command {
  return changeCommand('drain')
    .summary('drain this proxy host, or one server of an upstream')
    .description(
      'Without an argument, drains this proxy host: the forwarders send it no new connection, then HAProxy closes the connections that it ' +
        'has, spread over time. With UPSTREAM/SERVER, that server gets no new requests; sticky clients keep it.',
    )
    .argument('[server]', 'a server, as UPSTREAM/SERVER')
    .option('--wait', 'wait until no connection is left, or l7.drain_deadline has passed')
    .addHelpText(
      'after',
      `
The order of a host's drain loses no request. First its agent tells the forwarders, which treat it as "state: draining"; connections that
it has stay with it (second_chance: on). When all of them do so, or at the deadline, HAProxy closes its listeners, answers the next
request of each connection with "connection: close" (GOAWAY in HTTP/2), and cuts off what is left when l7.drain_deadline has passed again.
"anyhop l7 undrain" starts it again. A drain of a server is kept over reloads and restarts until the config says the same.
Exit codes: 0 done, 1 refused, or with --wait: connections were left at the deadline, 2 wrong usage.

Examples:
  anyhop l7 drain --wait && reboot
  anyhop l7 drain shop/shop-2 --wait
  anyhop l7 undrain shop/shop-2`,
    )
    .action((server: string | undefined, options: DrainOptions, command: Command) =>
      server === undefined ? drainHost(options, command) : drainServer(server, options, command),
    );
}

async function drainHost(options: DrainOptions, command: Command): Promise<void> {
  const socket = l7Socket(options, isNamed(command));
  const begun = (await tellL7(socket, '/l7/drain', {})) as L7Status;
  const status = options.wait ? await waitFor(socket, begun, isHostDrained, drawHost) : begun;
  if (options.wait && status.stage === 'serving')
    throw new AnyhopError('ERR_REFUSED', 'the drain was taken back', { exitCode: EXIT.failure });
  writeResult(options.json, status, () => `${drawHost(status)}\n`);
}

async function drainServer(text: string, options: DrainOptions, command: Command): Promise<void> {
  const target = serverTarget(text);
  const socket = l7Socket(options, isNamed(command));
  const change = (await tellL7(socket, '/l7/server-state', { ...target, state: 'draining' })) as L7Change;
  if (!options.wait) {
    tellChange(change, options);
    return;
  }
  const sessions = (status: L7Status): number | undefined => sessionsOf(status, target);
  const draw = (status: L7Status): string => `${text}: ${amount(sessions(status) ?? 0, 'session')} left`;
  const first = (await askL7(socket, '/l7/status')) as L7Status;
  const status = await waitFor(socket, first, (now) => sessions(now) === 0, draw);
  writeResult(options.json, status, () => `${draw(status)}\n`);
}

export function l7UndrainCommand(): Command {
  return changeCommand('undrain')
    .summary('let this proxy host, or a server, take requests again')
    .description('Ends a drain of this proxy host, or of UPSTREAM/SERVER.')
    .argument('[server]', 'a server, as UPSTREAM/SERVER')
    .addHelpText(
      'after',
      '\nExit codes: 0 done, 1 refused, 2 wrong usage.\n\nExamples:\n  anyhop l7 undrain\n  anyhop l7 undrain shop/shop-2',
    )
    .action(async (server: string | undefined, options: ChangeOptions, command: Command) => {
      const socket = l7Socket(options, isNamed(command));
      if (server === undefined) {
        const status = (await tellL7(socket, '/l7/undrain', {})) as L7Status;
        writeResult(options.json, status, () => `${drawHost(status)}\n`);
      } else {
        tellChange(
          (await tellL7(socket, '/l7/server-state', {
            ...serverTarget(server),
            state: 'active',
          })) as L7Change,
          options,
        );
      }
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
      tellChange((await tellL7(socket, '/l7/server-weight', { ...target, weight })) as L7Change, options);
    });
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
      tellChange((await tellL7(socket, '/l7/reload', {})) as L7Change, options);
    });
}

function tellChange(change: L7Change, { json }: ChangeOptions): void {
  for (const warning of json ? [] : change.warnings) writeError(`${warning}\n`);
  writeResult(json, change, ({ applied }) =>
    applied === 'nothing to change' ? `${applied}\n` : `in force ${applied}\n`,
  );
}

/** @throws AnyhopError ERR_USAGE */
function serverTarget(text: string): ServerTarget {
  const [upstream = '', server = '', ...more] = text.split('/');
  if (upstream === '' || server === '' || more.length > 0)
    throw new AnyhopError(
      'ERR_USAGE',
      `found ${JSON.stringify(text)}; expected UPSTREAM/SERVER, such as shop/shop-1`,
    );
  return { upstream, server };
}

function sessionsOf({ upstreams }: L7Status, { upstream, server }: ServerTarget): number | undefined {
  const found = upstreams.find(({ name }) => name === upstream);
  return found?.servers.find(({ name }) => name === server)?.sessions;
}

/** Or it is taken back. */
function isHostDrained({ stage }: L7Status): boolean {
  return stage === 'drained' || stage === 'serving';
}

function drawHost({ stage, drain }: L7Status): string {
  switch (stage) {
    case 'serving':
      return 'this proxy host takes connections';
    case 'following':
      return `the forwarders are told: ${drain?.forwarders?.filter(({ draining }) => draining).length ?? 0} of ${drain?.forwarders?.length ?? 0} drain this host`;
    case 'closing':
      return `HAProxy closes its connections: ${drain?.connections ?? 'some'} left`;
    case 'drained':
      return 'drained: HAProxy has ended';
  }
}

/** Asks until it is done. @throws AnyhopError when nobody has answered for too long, or the drain was taken back */
async function waitFor(
  socket: string,
  first: L7Status,
  isDone: (status: L7Status) => boolean,
  draw: (status: L7Status) => string,
): Promise<L7Status> {
  let status = first;
  let told = '';
  let answeredMs = performance.now();
  while (!isDone(status)) {
    const text = draw(status);
    if (text !== told) writeError(`${text}\n`);
    told = text;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      status = (await askL7(socket, '/l7/status')) as L7Status;
      answeredMs = performance.now();
    } catch (error) {
      if (!(error instanceof AnyhopError) || performance.now() - answeredMs > SILENCE_MS_MAX) throw error;
    }
  }
  return status;
}
