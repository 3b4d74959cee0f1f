/** `anyhop ready`: whether traffic may be sent to this node, as an exit code. */
import { Command, InvalidArgumentError } from 'commander';
import type { Readiness } from '../control/status.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { ask, findSocket, socketOption } from './control-client.js';

const ASK_INTERVAL_MS = 200;

interface ReadyOptions {
  readonly socket?: string;
  readonly wait?: number;
  readonly json?: true;
}

export function readyCommand(): Command {
  return new Command('ready')
    .summary('say by the exit code whether a node is ready for traffic')
    .description(
      'Asks a running node whether it is ready: tables in force, every check has its first result, and nobody has told it to ' +
        'stop. For what announces the VIPs.',
    )
    .option('--wait <seconds>', 'wait so long for it to become ready', seconds)
    .addOption(socketOption())
    .option('--json', 'print one JSON object, {ready, reasons}')
    .addHelpText(
      'after',
      `
A node that is told to stop is not ready first and forwards on for node.stop_delay, so that routers can be told before it
leaves. A node that does not answer is not ready.
Exit codes: 0 ready, 1 not ready (standard error says why), 2 wrong usage.

Examples:
  anyhop ready --wait 30
  # keepalived.conf: the VRRP instance that has the VIPs tracks this
  vrrp_script anyhop { script "/usr/bin/anyhop ready"  interval 1  fall 2  rise 2 }
  # the same for less: 10 ms of a processor instead of 160
  curl -sfo /dev/null --unix-socket /run/anyhop/edge-1.sock http://node/ready
  # bird: a route to each VIP in a static protocol of its own, switched by a loop or a timer
  anyhop ready && birdc enable vips || birdc disable vips
  # systemd: units that come after this one start when it is ready
  ExecStartPost=/usr/bin/anyhop ready --wait 30`,
    )
    .action(async (options: ReadyOptions) => {
      const endsAtMs = performance.now() + (options.wait ?? 0) * 1000;
      let readiness = await readinessOf(options.socket);
      while (!readiness.ready && performance.now() < endsAtMs) {
        await new Promise((resolve) => setTimeout(resolve, ASK_INTERVAL_MS));
        readiness = await readinessOf(options.socket);
      }
      const { ready, reasons } = readiness;
      if (options.json) process.stdout.write(`${JSON.stringify(readiness)}\n`);
      else if (ready) process.stdout.write('ready\n');
      else process.stderr.write(`not ready: ${reasons.join('; ')}\n`);
      if (!ready) process.exitCode = EXIT.failure;
    });
}

async function readinessOf(socket: string | undefined): Promise<Readiness> {
  try {
    return (await ask(socket ?? (await findSocket()), '/ready', [200, 503])) as Readiness;
  } catch (error) {
    if (!(error instanceof AnyhopError)) throw error;
    const { message, hint } = error;
    return { ready: false, reasons: [hint === undefined ? message : `${message} (${hint})`] };
  }
}

function seconds(text: string): number {
  const value = Number(text);
  if (!/^[\d.]+$/.test(text) || !(value <= 86_400))
    throw new InvalidArgumentError('It is seconds, 0 to 86400.');
  return value;
}
