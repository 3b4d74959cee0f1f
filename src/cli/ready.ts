/** `anyhop ready`: whether traffic may be sent to this node, as an exit code. */
import { Command, InvalidArgumentError } from 'commander';
import type { Readiness } from '../api/status.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { ask, findSocket, Refusal, socketOption } from './control-client.js';
import { writeError, writeOut } from './output.js';
import { notReady } from './status-text.js';

const ASK_INTERVAL_MS = 200;

interface ReadyOptions {
  readonly socket?: string;
  readonly service?: string;
  readonly wait?: number;
  readonly json?: true;
}

export function readyCommand(): Command {
  return new Command('ready')
    .summary('say by the exit code whether a node is ready for traffic')
    .description(
      'Asks a running node whether it is ready: it has started and nobody has told it to stop, its link is up, its program ' +
        'takes packets, and one service at least is ready. A service is ready when some of its packets can reach a backend ' +
        'from here. For what announces the VIPs.',
    )
    .option('--service <name>', 'ask for this service, not for the node')
    .option('--wait <seconds>', 'wait so long for it to become ready', seconds)
    .addOption(socketOption())
    .option('--json', 'print one JSON object, {ready, reasons, services}: each service with its reason')
    .addHelpText(
      'after',
      `
A node that is told to stop is not ready first and forwards on for node.stop_delay, so that routers can be told before it
leaves. A node that does not answer is not ready. A service that is not ready does not make the node so, unless all are: announce
each VIP by its own service where pools fail apart. Health checks decide who gets packets, not who is ready.
Exit codes: 0 ready, 1 not ready (standard error says why), 2 wrong usage, also a service that the node does not have.

Examples:
  anyhop ready --wait 30
  anyhop ready --service web
  anyhop ready --json | jq '.services[] | select(.ready | not)'
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
      let readiness = await readinessOf(options);
      while (!readiness.ready && performance.now() < endsAtMs) {
        await new Promise((resolve) => setTimeout(resolve, ASK_INTERVAL_MS));
        readiness = await readinessOf(options);
      }
      const { ready, reasons, services } = readiness;
      if (options.json) writeOut(`${JSON.stringify(readiness)}\n`);
      else {
        if (ready) writeOut('ready\n');
        else writeError(`not ready: ${reasons.join('; ')}\n`);
        if (ready) for (const line of notReady(services)) writeError(`not ready: ${line}\n`);
      }
      if (!ready) process.exitCode = EXIT.failure;
    });
}

/** A node that does not answer is not ready. @throws Refusal when it has no such service */
async function readinessOf({ socket, service }: ReadyOptions): Promise<Readiness> {
  try {
    const query = service === undefined ? '' : `?service=${encodeURIComponent(service)}`;
    return (await ask(socket ?? (await findSocket()), `/ready${query}`, [200, 503])) as Readiness;
  } catch (error) {
    if (!(error instanceof AnyhopError) || (error instanceof Refusal && error.exitCode === EXIT.usage))
      throw error;
    const { message, hint } = error;
    return { ready: false, reasons: [hint === undefined ? message : `${message} (${hint})`], services: [] };
  }
}

function seconds(text: string): number {
  const value = Number(text);
  if (!/^[\d.]+$/.test(text) || !(value <= 86_400))
    throw new InvalidArgumentError('It is seconds, 0 to 86400.');
  return value;
}
