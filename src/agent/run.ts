/** A running agent: what it says, what signals do to it, and how it ends. */

import { logWarnings } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, EXIT, isSystemError } from '../core/errors.js';
import { Hangups } from '../core/hangups.js';
import { createLog, type Logger } from '../core/log.js';
import { SerialQueue } from '../core/serial-queue.js';
import { forbidDumps } from '../ffi/process.js';
import { Reloads } from '../metrics/reloads.js';
import { watchLosses } from '../underlay/losses.js';
import { warnAboutVeth } from '../underlay/veth.js';
import { Listener } from '../web/listener.js';
import { Agent } from './agent.js';
import { watchChecksums } from './checksums.js';
import { agentTables } from './metrics.js';
import { ProbeCapture } from './probe-capture.js';
import { ProbeWatch } from './probe-watch.js';
import { ReportServer } from './report-server.js';

/** How often the agent looks whether its program is still attached. */
const WATCH_INTERVAL_MS = 1000;

/**
 * What ends an agent. SIGINT is somebody at a terminal: the program is taken off. SIGTERM is a service manager, most often about to
 * start the next one: the program stays and delivers until then.
 */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
type End = (typeof STOP_SIGNALS)[number] | 'lost';

/** What the fleet does with an agent that delivers. */
export interface AgentActions {
  /** Makes ready what `take` needs of a config. @throws AnyhopError when this host cannot take it */
  prepare(config: LoadedConfig<'agent'>): Promise<void>;
  /** What was prepared does not come. */
  release(): Promise<void>;
  /** Puts what `load` reads in force. @throws AnyhopError when it cannot; what was in force stays */
  take(load: () => LoadedConfig<'agent'>): Promise<void>;
}

/**
 * Runs until a signal, or until somebody takes the program off; SIGHUP reloads the config.
 * @param load reads the config, also for a reload
 * @param serves called when it delivers
 * @returns the exit code
 */
export async function runAgent(
  load: () => LoadedConfig<'agent'>,
  serves: (actions: AgentActions) => void = () => undefined,
): Promise<number> {
  const log = createLog();
  forbidDumps(log);
  // Before anything else: a SIGHUP that comes while it starts must not end it.
  const hangups = new Hangups();
  const stopped = stopSignal();
  let config = load();
  logWarnings(config.warnings, log);
  const agent = await Agent.start(config, log);
  let reports = reportServer(agent, config, log);
  const reloaded = new Reloads();
  const listener = new Listener(config.agent.metrics, { log, collect: () => agentTables(agent, reloaded) });
  // Before it says that it delivers: from then on everything counts.
  const quiet = [watchLosses(async () => agent.losses(), log), watchChecksums(() => agent.delivered(), log)];
  sayReady(log, config, agent);
  const take = async (read: () => LoadedConfig<'agent'>): Promise<void> => {
    let next: LoadedConfig<'agent'>;
    try {
      next = await reload(agent, read, log);
    } catch (error) {
      reloaded.refused();
      throw error;
    }
    reloaded.accepted();
    config = next;
    listener.use(next.agent.metrics);
    await reports.close();
    reports = reportServer(agent, next, log);
  };
  const reloads = new SerialQueue();
  const taken = (read: () => LoadedConfig<'agent'>): Promise<void> => reloads.add(() => take(read));
  const tried = (read: () => LoadedConfig<'agent'>): Promise<void> => taken(read).catch(expected); // the log says why
  hangups.handle(() => tried(load));
  const look = newAddressWatch(agent, log, () => void tried(() => config));
  serves({
    prepare: (next) => agent.prepare(next),
    release: () => agent.release(),
    take: taken,
  });
  const end = await ended(agent, stopped, look);
  for (const stop of quiet) stop();
  await hangups.close();
  await reloads.idle();
  await Promise.all([reports.close(), listener.close()]);
  return finish(agent, end, log);
}

function reportServer(agent: Agent, config: LoadedConfig<'agent'>, log: Logger): ReportServer {
  return new ReportServer(
    agent.fleet,
    config.agent.reportPort,
    agent.environment.locals,
    (asked) => agent.report(asked),
    log,
    new ProbeWatch({
      services: config.services,
      verdicts: () => agent.verdicts(),
      capture: new ProbeCapture(agent.environment.interface, () => agent.captured()),
      log,
    }),
  );
}

/** @returns the config that is in force now @throws AnyhopError when it was refused, and the former one still is */
async function reload(
  agent: Agent,
  load: () => LoadedConfig<'agent'>,
  log: Logger,
): Promise<LoadedConfig<'agent'>> {
  try {
    const config = load();
    logWarnings(config.warnings, log);
    await agent.reload(config);
    sayFindings(log, agent);
    log.info({ event: 'reloaded', services: config.services.length }, 'the config is in force');
    return config;
  } catch (error) {
    expected(error);
    const { message, code } = error;
    const hint = error instanceof AnyhopError ? error.hint : undefined;
    log.error({ event: 'reload_refused', code, ...(hint !== undefined && { hint }) }, message);
    throw error;
  }
}

/** Goes on after an error that has been told. */
function expected(error: unknown): asserts error is AnyhopError | NodeJS.ErrnoException {
  if (!(error instanceof AnyhopError) && !isSystemError(error)) throw error;
}

async function finish(agent: Agent, end: End, log: Logger): Promise<number> {
  const { interface: name } = agent.environment;
  let problem: string | undefined;
  if (end === 'SIGTERM') {
    const stays = await agent.leave();
    if (stays)
      log.info(
        { event: 'left' },
        `the program stays on ${name} and delivers; "anyhop agent --stop" takes it off`,
      );
    else problem = `the program went off ${name}: the pin of its link is gone`;
  } else {
    problem = await agent.stop();
  }
  log.info(
    { event: 'counters', verdicts: agent.verdicts(), cookies: agent.cookieCounts() },
    'final counters',
  );
  if (end === 'lost') problem = `the XDP program is no longer on ${name}`;
  if (problem === undefined) return EXIT.ok;
  log.error({ event: 'stop_failed' }, problem);
  return EXIT.failure;
}

function sayFindings(log: Logger, { environment }: Agent): void {
  for (const { level, message, hint } of environment.findings) {
    log[level === 'warning' ? 'warn' : 'error']({ event: 'environment', hint }, message);
  }
}

function sayReady(log: Logger, config: LoadedConfig<'agent'>, agent: Agent): void {
  const { interface: name, mtu, locals, leftover } = agent.environment;
  const { mode, refusal } = agent.attachment;
  sayFindings(log, agent);
  const sendsOn = config.services.some(({ secondChance }) => secondChance);
  warnAboutVeth({ name, kind: agent.environment.kind }, sendsOn, log);
  if (refusal !== undefined) {
    log.warn({ event: 'environment', hint: refusal.hint }, `${refusal.message}; generic XDP instead`);
  }
  log.info(
    {
      event: 'ready',
      interface: name,
      mode,
      mtu,
      addresses: locals.map(({ text }) => text),
      services: config.services.length,
      replaced: leftover !== undefined,
      pinned: agent.isPinned,
    },
    `delivering on ${name} (${mode} XDP)`,
  );
}

/** Resolves on the first SIGINT or SIGTERM; a second one ends the process at once. */
function stopSignal(): Promise<End> {
  return new Promise((resolve) => {
    for (const signal of STOP_SIGNALS) process.once(signal, () => resolve(signal));
  });
}

/**
 * A host may get its addresses, by DHCP or a router's advertisements, after its agent has started; and what a former config had ceases
 * to hold when its settle time is over.
 * @param reload by the config in force
 */
function newAddressWatch(agent: Agent, log: Logger, reload: () => void): () => void {
  let tried = '';
  return () => {
    let addresses: string[];
    try {
      addresses = agent.newAddresses().map(({ text }) => text);
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      return; // the kernel cannot be asked: in a second, maybe
    }
    const expired = agent.hasExpired();
    const reason = `${expired} ${addresses.join()}`;
    const isNews = (expired || addresses.length > 0) && reason !== tried;
    tried = reason; // what was refused is not tried every second
    if (!isNews) return;
    if (addresses.length > 0) {
      log.info(
        { event: 'new_addresses', addresses },
        `backends' addresses are here now: ${addresses.join(', ')}`,
      );
    }
    if (expired) {
      log.info(
        { event: 'settled' },
        'the settle time is over: forwarders, backends and services that the config no longer has are strangers now',
      );
    }
    reload();
  };
}

/** Keeps the process running until the signal, or until somebody takes the program off. */
async function ended(agent: Agent, stopped: Promise<End>, look: () => void): Promise<End> {
  let watch: NodeJS.Timeout | undefined;
  const lost = new Promise<End>((resolve) => {
    watch = setInterval(() => {
      if (!agent.isAttached()) resolve('lost');
      else {
        agent.keepPinned();
        agent.followCookies();
        look();
      }
    }, WATCH_INTERVAL_MS);
  });
  try {
    return await Promise.race([stopped, lost]);
  } finally {
    clearInterval(watch);
  }
}
