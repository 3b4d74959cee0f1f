/** `anyhop l7 drain` and `undrain`: this proxy host, or one server of an upstream. */
import type { Command } from 'commander';
import { AnyhopError, EXIT } from '../core/errors.js';
import { amount } from '../core/figures.js';
import type { L7Change, ServerTarget } from '../l7/api.js';
import type { L7Status, ServerStatus } from '../l7/status.js';
import { type ChangeOptions, changeCommand, serverNow, serverTarget, tellChange } from './l7-change.js';
import { askL7, l7Socket, tellL7 } from './l7-place.js';
import { isNamed } from './options.js';
import { writeError, writeResult } from './output.js';

interface DrainOptions extends ChangeOptions {
  readonly wait?: true;
}

const POLL_MS = 500;
/** Longer than a restart of `anyhop l7 run` takes. */
const SILENCE_MS_MAX = 30_000;

export function l7DrainCommand(): Command {
  return changeCommand('drain')
    .summary('drain this proxy host, or one server of an upstream')
    .description(
      'Without an argument, drains this proxy host: the forwarders send it no new connection, then HAProxy ends the connections that it ' +
        'has. With UPSTREAM/SERVER, that server gets no new requests; sticky clients keep it.',
    )
    .argument('[server]', 'a server, as UPSTREAM/SERVER')
    .option(
      '--wait',
      'wait until the host is drained; of a server, until it has no request, for l7.drain_deadline at most',
    )
    .addHelpText(
      'after',
      `
The order of a host's drain loses no request. First its agent tells the forwarders, which treat it as "state: draining"; connections that
it has stay with it (second_chance: on). When all of them do so, HAProxy closes its listeners, answers the next request of each connection
with "connection: close" (GOAWAY in HTTP/2), and cuts off what is left when l7.drain_deadline has passed. When not all of them have followed
after l7.drain_deadline, health checks of this host fail for ten seconds first.
"anyhop l7 undrain" starts it again. A drain of a server is kept over reloads and restarts until the config says the same.
Exit codes: 0 done, 1 refused, or with --wait: taken back, or connections were left at the deadline, 2 wrong usage.

Examples:
  anyhop l7 drain --wait && reboot
  anyhop l7 drain shop/shop-2 --wait
  anyhop l7 undrain shop/shop-2`,
    )
    .action((server: string | undefined, options: DrainOptions, command: Command) =>
      server === undefined ? drainHost(options, command) : drainServer(server, options, command),
    );
}

export function l7UndrainCommand(): Command {
  return changeCommand('undrain')
    .summary('let this proxy host, or a server, take requests again')
    .description('Ends a drain of this proxy host, or of UPSTREAM/SERVER.')
    .argument('[server]', 'a server, as UPSTREAM/SERVER')
    .addHelpText(
      'after',
      `
A host that is drained starts HAProxy and then tells the forwarders that it is back; "anyhop l7 status" shows when. While HAProxy ends its
connections, it is started when it has ended.
Exit codes: 0 done, 1 refused, 2 wrong usage.

Examples:
  anyhop l7 undrain
  anyhop l7 undrain shop/shop-2`,
    )
    .action(async (server: string | undefined, options: ChangeOptions, command: Command) => {
      if (server !== undefined) {
        const change = { ...serverTarget(server), state: 'active' };
        const socket = l7Socket(options, isNamed(command));
        const done = (await tellL7(socket, '/l7/server-state', change)) as L7Change;
        tellChange(done, options, serverNow(`${server} takes requests again`));
        return;
      }
      const status = (await tellL7(l7Socket(options, isNamed(command)), '/l7/undrain', {})) as L7Status;
      writeResult(options.json, status, () => `${drawUndrain(status)}\n`);
    });
}

async function drainHost(options: DrainOptions, command: Command): Promise<void> {
  const socket = l7Socket(options, isNamed(command));
  const begun = (await tellL7(socket, '/l7/drain', {})) as L7Status;
  const status = options.wait ? await waitFor(socket, begun, isSettled, drawHost) : begun;
  writeResult(options.json, status, () => `${drawHost(status)}\n`);
  if (options.wait && status.stage === 'serving') throw failure('the drain was taken back');
  const { cutOff = 0 } = status.drain ?? {};
  if (options.wait && cutOff > 0)
    throw failure(`${amount(cutOff, 'connection')} left at the deadline, and cut off`);
}

/** Drained, or taken back. */
function isSettled({ stage }: L7Status): boolean {
  return stage === 'drained' || stage === 'serving';
}

function drawHost({ stage, drain }: L7Status): string {
  const { forwarders, connections } = drain ?? {};
  switch (stage) {
    case 'serving':
      return 'this proxy host takes connections';
    case 'following':
      return forwarders === undefined
        ? 'the forwarders are to be told, but the agent of this host does not answer'
        : `the forwarders are told: ${forwarders.filter(({ draining }) => draining).length} of ${forwarders.length} drain this host`;
    case 'unfollowed':
      return 'not all forwarders have followed; HAProxy takes no more connections in a moment';
    case 'closing':
      return `HAProxy ends its connections${connections === undefined ? '' : `: ${connections} left`}`;
    case 'drained':
      return 'drained: HAProxy has ended';
  }
}

function drawUndrain(status: L7Status): string {
  if (status.stage === 'serving') return drawHost(status);
  return status.stage === 'closing'
    ? `${drawHost(status)}; it is started again when it has ended`
    : 'HAProxy is about to start; "anyhop l7 status" shows when it serves';
}

async function drainServer(text: string, options: DrainOptions, command: Command): Promise<void> {
  const target = serverTarget(text);
  const socket = l7Socket(options, isNamed(command));
  const change = (await tellL7(socket, '/l7/server-state', { ...target, state: 'draining' })) as L7Change;
  if (!options.wait) {
    tellChange(change, options, serverNow(`${text} drains`));
    return;
  }
  const draw = (status: L7Status): string => {
    const { sessions = 0, queued = 0 } = serverIn(status, target) ?? {};
    return `${text}: ${amount(sessions + queued, 'request')} left`;
  };
  const first = (await askL7(socket, '/l7/status')) as L7Status;
  const endMs = performance.now() + first.drainDeadlineMs;
  const isDone = (status: L7Status): boolean => isIdle(status, target) || performance.now() > endMs;
  const status = await waitFor(socket, first, isDone, draw);
  writeResult(options.json, status, () => `${draw(status)}\n`);
  if (serverIn(status, target)?.state !== 'draining') throw failure('the drain was taken back');
  if (!isIdle(status, target)) throw failure('requests are left at the deadline');
}

function serverIn({ upstreams }: L7Status, { upstream, server }: ServerTarget): ServerStatus | undefined {
  return upstreams.find(({ name }) => name === upstream)?.servers.find(({ name }) => name === server);
}

/** It has no request, or does not drain any more. */
function isIdle(status: L7Status, target: ServerTarget): boolean {
  const found = serverIn(status, target);
  return found === undefined || found.state !== 'draining' || found.sessions + found.queued === 0;
}

function failure(message: string): AnyhopError {
  return new AnyhopError('ERR_REFUSED', message, { exitCode: EXIT.failure });
}

/** Asks until it is done. @throws AnyhopError when nobody has answered for too long */
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
