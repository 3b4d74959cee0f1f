/** `anyhop agent`: the backend side, in the foreground. */
import { Command } from 'commander';
import { Agent } from '../agent/agent.js';
import { checkEnvironment, type Environment } from '../agent/environment.js';
import { thisSystem } from '../agent/system.js';
import type { LoadedConfig } from '../config/types.js';
import { EXIT } from '../core/errors.js';
import { createLog, type Logger } from '../core/log.js';
import { type ConfigOptions, configOption, interfaceOption, loadFor, type NodeOptions } from './options.js';

/** How often the agent looks whether its program is still attached. */
const WATCH_INTERVAL_MS = 1000;

interface AgentOptions extends ConfigOptions, Pick<NodeOptions, 'interface'> {
  readonly check?: true;
  readonly json?: true;
}

export function agentCommand(): Command {
  return new Command('agent')
    .description('unwrap GRE from the forwarders on a backend and pass the packets to this host')
    .addOption(configOption())
    .addOption(interfaceOption())
    .option('--check', 'only say whether this host is ready to be a backend; exit code 3 when it is not')
    .option('--json', 'with --check: print one JSON object')
    .addHelpText(
      'after',
      `
Runs in the foreground and logs JSON lines; SIGINT or SIGTERM takes the program off the interface and logs the
counters. An agent that is killed (kill -9) leaves its program on the interface, which goes on delivering; the next
agent takes its place without losing a packet. To take it off by hand: ip link set dev eth0 xdp off

Second chance: with second_chance: on, a TCP packet whose connection this host does not know goes on to the backend that
had it before. Counted as sent_on, or as drop_peer_... with the reason why not.

GRE is taken from agent.forwarders and the pools' backends alone, and for configured services alone. A stranger's GRE
for a VIP is dropped; all other traffic passes untouched.

Examples:
  ip addr add 203.0.113.10/32 dev lo        # the VIP must be an address of the backend
  anyhop agent -c /etc/anyhop/anyhop.yaml --interface eth0 --check
  anyhop agent -c /etc/anyhop/anyhop.yaml --interface eth0`,
    )
    .action(async (options: AgentOptions) => {
      const config = loadFor('agent', options);
      process.exitCode = options.check ? check(config, options.json === true) : await run(config);
    });
}

function check(config: LoadedConfig<'agent'>, json: boolean): number {
  const environment = checkEnvironment(config, thisSystem);
  const ready = environment.findings.every(({ level }) => level !== 'error');
  process.stdout.write(
    json ? `${JSON.stringify(reportOf(environment, ready))}\n` : textOf(environment, ready),
  );
  return ready ? EXIT.ok : EXIT.environment;
}

function reportOf({ interface: name, mtu, locals, findings }: Environment, ready: boolean): object {
  return { ready, interface: name, mtu, addresses: locals.map(({ text }) => text), findings };
}

function textOf({ interface: name, mtu, locals, findings }: Environment, ready: boolean): string {
  return [
    ...findings.flatMap(({ level, message, hint }) => [`${level}: ${message}`, `  ${hint}`]),
    ready
      ? `ready: ${name} (MTU ${mtu}), GRE to ${locals.map(({ text }) => text).join(', ')}`
      : 'not ready to be a backend',
    '',
  ].join('\n');
}

async function run(config: LoadedConfig<'agent'>): Promise<number> {
  const log = createLog();
  for (const { field, message } of config.warnings) log.warn({ event: 'config', field }, message);
  const stopped = stopSignal();
  const agent = await Agent.start(config, log);
  sayReady(log, config, agent);
  const reason = await ended(agent, stopped);
  const verdicts = agent.verdicts();
  const problem = await agent.stop();
  log.info({ event: 'counters', verdicts });
  if (reason === 'lost') {
    log.error({ event: 'lost' }, `the XDP program is no longer on ${agent.environment.interface}`);
    return EXIT.failure;
  }
  if (problem !== undefined) {
    log.error({ event: 'detach' }, problem);
    return EXIT.failure;
  }
  return EXIT.ok;
}

function sayReady(log: Logger, config: LoadedConfig<'agent'>, agent: Agent): void {
  const { interface: name, mtu, locals, leftover, findings } = agent.environment;
  for (const { message, hint } of findings) log.warn({ event: 'environment', hint }, message);
  if (agent.refusal !== undefined) {
    log.warn({ event: 'environment', hint: 'switch LRO off, keep the MTU below 3.5 kB' }, agent.refusal);
  }
  log.info(
    {
      event: 'ready',
      interface: name,
      mode: agent.mode,
      mtu,
      addresses: locals.map(({ text }) => text),
      services: config.services.length,
      replaced: leftover !== undefined,
    },
    `delivering on ${name} (${agent.mode} XDP)`,
  );
}

/** Resolves on the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): Promise<'signal'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve('signal'));
  });
}

/** Keeps the process running until the signal, or until somebody takes the program off. */
async function ended(agent: Agent, stopped: Promise<'signal'>): Promise<'signal' | 'lost'> {
  let watch: NodeJS.Timeout | undefined;
  const lost = new Promise<'lost'>((resolve) => {
    watch = setInterval(() => {
      if (!agent.isAttached()) resolve('lost');
    }, WATCH_INTERVAL_MS);
  });
  try {
    return await Promise.race([stopped, lost]);
  } finally {
    clearInterval(watch);
  }
}
