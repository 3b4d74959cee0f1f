/** `anyhop agent`: runs the agent of a backend, checks the host, shows the agent's report, or removes its program. */
import { Command, Option } from 'commander';
import { cookieFindings, thisCookieHost } from '../agent/cookies/host.js';
import { checkEnvironment, type Environment, localBackends, requireInterface } from '../agent/environment.js';
import { backendAddresses } from '../agent/fleet.js';
import { removeAgent } from '../agent/remove.js';
import { runAgent } from '../agent/run.js';
import { thisSystem } from '../agent/system.js';
import type { RevisionText } from '../config/load.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { createLog } from '../core/log.js';
import { drainHost, undrainHost } from './agent-drain.js';
import { drawReport, ownReport } from './agent-report.js';
import { isInFleet } from './fleet-file.js';
import { configOption, interfaceOption, isNamed, loadFor } from './options.js';
import { writeResult } from './output.js';
import { bpffsOption, type PlaceOptions, placeOf, tellRemoved } from './place.js';

interface AgentOptions extends PlaceOptions {
  readonly check?: true;
  readonly status?: true;
  readonly stop?: true;
  readonly drain?: true;
  readonly undrain?: true;
  readonly wait?: true;
}

export function agentCommand(): Command {
  return new Command('agent')
    .summary('run on a backend: unwrap GRE from the forwarders')
    .description(
      'Runs on a backend. An XDP program on the interface unwraps GRE from the forwarders and passes the packets to this host. ' +
        'With second chance, packets of connections that this host does not have go to the backend that may have them.',
    )
    .addOption(configOption())
    .addOption(interfaceOption())
    .addOption(
      new Option(
        '--check',
        'only check whether this host is ready to be a backend; exit code 3 if not',
      ).conflicts(['status', 'stop', 'drain', 'undrain']),
    )
    .addOption(
      new Option('--status', 'show the connections and counters of the agent on this host').conflicts([
        'stop',
        'drain',
        'undrain',
      ]),
    )
    .addOption(
      new Option('--stop', 'remove the program that an agent left on the interface').conflicts([
        'drain',
        'undrain',
      ]),
    )
    .addOption(
      new Option('--drain', 'ask all forwarders to drain this host; it needs no running agent').conflicts(
        'undrain',
      ),
    )
    .addOption(new Option('--undrain', 'ask for the drain no longer'))
    .addOption(
      new Option('--wait', 'with --drain: wait until all forwarders drain it and no connection is left'),
    )
    .addOption(bpffsOption('agent', 'with --stop: BPF file system of the agent'))
    .addOption(
      new Option('--json', 'with --check, --status, --stop, --drain or --undrain: print one JSON object'),
    )
    .addHelpText(
      'after',
      `
The agent runs in the foreground and logs to standard error.
  SIGINT   removes the program from the interface
  SIGTERM  leaves the program there. It keeps delivering until the next agent replaces it, without losing a packet or a count. The
           same holds after a crash or kill -9. --stop removes it
  SIGHUP   reads the config again and applies it without losing a packet. A wrong config is refused and changes nothing

Reports: GET /report on TCP port 9611 (agent.report_port) of the backend's address returns open connections by VIP and service, and
counters. Only forwarders and backends of the config get an answer. --status shows the report on this host.

--drain makes a file in agent.run_dir for each address of this host that the config has. While it is there, the agent's report asks the
forwarders to drain this backend: it gets no new flows and keeps those it has. They follow when they next ask, a small fleet within 5 s.
--undrain removes the file; so does a boot, since the default directory is in /run. --wait ends when every forwarder that asks
the agent drains this host and no TCP connection to its VIPs is left, or after the longest drain_deadline of its pools.

Second chance: with second_chance: on, a TCP packet whose connection this host does not have is sent to the next of the backends
that its GRE key names. It counts as sent_on, or as drop_peer_... if it cannot be sent.

The agent accepts GRE only from agent.forwarders and the pools' backends, and only for configured services. It drops GRE for a VIP from
anyone else. All other traffic passes untouched. Packets for a VIP that this host does not have (see ip route get VIP) are dropped
as drop_vip_not_local, unless agent.vip_elsewhere is true.

Exit codes: 0 done, 1 failed while running, no agent answers, or --wait ended by the deadline, 2 wrong config or usage, 3 the machine lacks something.

Examples:
  ip addr add 203.0.113.10/32 dev lo        # the VIP must be an address of the backend
  anyhop agent -c /etc/anyhop/anyhop.yaml --interface eth0 --check
  anyhop agent -c /etc/anyhop/anyhop.yaml --interface eth0
  anyhop agent -c /etc/anyhop/anyhop.yaml --status --json | jq '.vips[].established'
  anyhop agent -c /etc/anyhop/anyhop.yaml --drain --wait && reboot
  anyhop agent --stop --interface eth0`,
    )
    .action(async (options: AgentOptions, command: Command) => {
      process.exitCode = await act(options, isNamed(command));
    });
}

async function act(options: AgentOptions, isConfigNamed: boolean): Promise<number> {
  const load = (): LoadedConfig<'agent'> => loadFor('agent', options);
  const inJson = options.json === true;
  if (options.check) return check(load(), inJson);
  if (options.status) return status(load(), inJson);
  if (options.stop) return stop(options, isConfigNamed);
  if (options.drain) return drainHost(load(), { wait: options.wait === true, json: inJson });
  if (options.wait)
    throw new AnyhopError('ERR_USAGE', '--wait waits for the end of a drain: use it with --drain');
  if (options.undrain) return undrainHost(load(), inJson);
  if (!isInFleet(options.config)) return runAgent(load);
  return runInFleet(options);
}

/** Delivers by the config of the fleet. */
async function runInFleet(options: AgentOptions): Promise<number> {
  const { join, RevisionReader, telling } = await import('./fleet-join.js');
  const { fleetDigest } = await import('../fleet/digest.js');
  const log = createLog();
  const read = (revision: RevisionText): LoadedConfig<'agent'> => loadFor('agent', options, { revision });
  const { config: file } = options;
  // A host that is no backend yet, or no longer, has nothing to deliver by a config.
  const concerns = (config: LoadedConfig<'agent'>): boolean =>
    localBackends(backendAddresses(config), thisSystem).length > 0;
  const place = { file, name: undefined, stateDir: undefined };
  const { member, first } = await join({
    ...{ role: 'agent', ...place, read, log },
    concerns: (revision) => concerns(read(revision)),
  });
  const reader = new RevisionReader(read);
  let inForce = first;
  try {
    return await runAgent(
      () => read(inForce),
      (actions) => {
        member.serve(
          telling({
            prepare: async (_, text) => {
              const config = reader.anew(text);
              if (concerns(config)) await actions.prepare(config);
              return { digest: fleetDigest(config), waits: [] };
            },
            release: () => {
              reader.forget();
              void actions.release();
            },
            activate: async (_, text) => {
              const config = reader.again(text);
              reader.forget();
              if (!concerns(config)) return; // it goes on for those who still send
              await actions.take(() => config);
              inForce = text;
            },
            standing: () => ({ ready: true }),
          }),
        );
      },
    );
  } finally {
    await member.close();
  }
}

async function check(config: LoadedConfig<'agent'>, json: boolean): Promise<number> {
  const found = await checkEnvironment(config, thisSystem);
  const environment = { ...found, findings: [...found.findings, ...cookieFindings(config, thisCookieHost)] };
  const ready = environment.findings.every(({ level }) => level === 'warning');
  writeResult(json, reportOf(environment, ready), textOf);
  return ready ? EXIT.ok : EXIT.environment;
}

function reportOf({ interface: name, mtu, locals, findings }: Environment, ready: boolean) {
  return { ready, interface: name, mtu, addresses: locals.map(({ text }) => text), findings };
}

const LABELS = { error: 'error', not_ready: 'not ready', warning: 'warning' } as const;

function textOf({ ready, interface: name, mtu, addresses, findings }: ReturnType<typeof reportOf>): string {
  return [
    ...findings.flatMap(({ level, message, hint }) => [`${LABELS[level]}: ${message}`, `  ${hint}`]),
    ready ? `ready: ${name} (MTU ${mtu}), GRE to ${addresses.join(', ')}` : 'not ready to be a backend',
    '',
  ].join('\n');
}

async function status(config: LoadedConfig<'agent'>, inJson: boolean): Promise<number> {
  writeResult(inJson, await ownReport(config), drawReport);
  return EXIT.ok;
}

async function stop(options: AgentOptions, isConfigNamed: boolean): Promise<number> {
  const place = placeOf(options, isConfigNamed, () => {
    const config = loadFor('agent', options);
    return { interface: requireInterface(config), bpffs: config.agent.bpffs };
  });
  const { interface: name, bpffs } = place;
  tellRemoved(
    options,
    place,
    await removeAgent(place),
    "no agent's program is on",
    ({ mode, programId }) =>
      `stopped delivering on ${name}: program ${programId} (${mode} XDP) and its pins in ${bpffs} are gone`,
  );
  return EXIT.ok;
}
