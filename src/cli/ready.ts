/** `anyhop ready`: says by its exit code whether a node is ready for traffic. */
import { Command } from 'commander';
import type { Readiness } from '../api/status.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { ask, findSocket, Refusal, socketOption } from './control-client.js';
import { secondsBetween } from './number.js';
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
    .summary('exit with 0 if a node is ready for traffic')
    .description(
      'Asks a running node whether it is ready for traffic. A node is ready when it has started and is not stopping, its link is ' +
        'up, its program receives packets, and at least one service is ready. A service is ready when some of its packets can reach ' +
        'a backend from here. Routing daemons use this to announce the VIPs.',
    )
    .option('--service <name>', 'ask about this service instead of the node')
    .option('--wait <seconds>', 'wait up to this long until it is ready', secondsBetween(0, 86_400))
    .addOption(socketOption())
    .option('--json', 'print one JSON object, {ready, reasons, services}; each service has its reason')
    .addHelpText(
      'after',
      `
A node that stops first becomes not ready and keeps forwarding for node.stop_delay, so that routers can withdraw the VIPs before it
leaves. A node that does not answer is not ready. A node is ready while any service is: where pools can fail separately, announce each VIP
by its own service. With ANYHOP_CONFIG and no --socket, it reads the config file each time, which more than doubles its CPU time.
Health checks decide which backends get packets, not whether a service is ready.
Exit codes: 0 ready, 1 not ready (standard error says why), 2 wrong usage, such as an unknown service.

Examples:
  anyhop ready --wait 30
  anyhop ready --service web
  anyhop ready --json | jq '.services[] | select(.ready | not)'
  # keepalived.conf: a script for the VRRP instance that has the VIPs to track
  vrrp_script anyhop { script "/usr/bin/anyhop ready"  interval 1  fall 2  rise 2 }
  # the same with 10 ms of CPU time instead of 160 ms
  curl -sfo /dev/null --unix-socket /run/anyhop/edge-1.sock http://node/ready
  # bird: a static protocol "vips" has the routes to the VIPs; run this from a loop or a timer
  anyhop ready && birdc enable vips || birdc disable vips
  # systemd: units ordered after this one start when it is ready
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
