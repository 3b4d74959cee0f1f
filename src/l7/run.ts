/**
 * The process `anyhop l7 run`: the tier with everything around it, from its start to its end.
 *
 *   SIGHUP    reads the config again
 *   SIGTERM   drains this host, then ends; its mark stays, so that the forwarders go on draining it
 *   SIGINT    lets HAProxy end its connections, and ends
 *   a second SIGTERM or SIGINT ends all at once
 *
 * Whatever fails in here, HAProxy does not outlive this process; only a kill leaves it, and the next process takes its place.
 */
import { ControlError } from '../api/api.js';
import { serveControl } from '../api/server.js';
import type { DiscoveryStatus } from '../api/status.js';
import { logWarnings } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import { EXIT } from '../core/errors.js';
import { Hangups } from '../core/hangups.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Listener } from '../web/listener.js';
import { type L7Actions, l7Routes, type ServerTarget } from './api.js';
import { CertificateWatch } from './certificate-watch.js';
import { DrainLoop } from './drain-loop.js';
import { HealthAnswers } from './health-answer.js';
import { Locals } from './locals.js';
import { l7Tables } from './metrics.js';
import { controlSocket } from './place.js';
import { healthOf, type Observed, statusOf } from './proxy-status.js';
import { type StopSignal, StopSignals } from './stop-signals.js';
import { Tier } from './tier.js';
import { StatsWatch } from './watch.js';

/** What those do with a proxy host that serves who have its config from elsewhere: its fleet, or sources of servers. */
export interface TierActions {
  /** In force. */
  config(): LoadedConfig<'l7'>;
  /** Whether HAProxy and this host would take a config. @throws ConfigError, AnyhopError, ControlError when not */
  prepare(config: LoadedConfig<'l7'>): Promise<void>;
  /** Puts what `load` reads in force. @throws as `prepare`; what was in force stays */
  take(load: () => LoadedConfig<'l7'>): Promise<void>;
  /** Why it has no server for a request, or HAProxy does not serve; undefined when all is well. */
  notReady(): string | undefined;
  /** Requests that HAProxy has at a server, by a look at it after `sinceMs`; undefined before one. */
  sessionsOf(server: ServerTarget, sinceMs: number): number | undefined;
}

export interface TierUser {
  /** Called when it serves. */
  readonly serves?: (actions: TierActions) => void;
  /** What sources of servers say that are asked here. */
  readonly discovery?: () => readonly DiscoveryStatus[];
}

/**
 * Runs until a signal.
 * @param load reads the config, also for a reload
 * @param user whoever has to do with it
 * @returns the exit code
 * @throws ConfigError, AnyhopError when it cannot start
 */
export async function runL7(
  load: () => LoadedConfig<'l7'>,
  log: Logger,
  user: TierUser = {},
): Promise<number> {
  // Before anything else: a SIGHUP that comes while it starts must not end it.
  const hangups = new Hangups();
  const signals = new StopSignals();
  // While this host is drained, nothing else would keep this process.
  const alive = setInterval(() => undefined, ALIVE_MS);
  try {
    return await runUntil(signals, hangups, load, log, user);
  } finally {
    clearInterval(alive);
  }
}

const ALIVE_MS = 3_600_000;

async function runUntil(
  signals: StopSignals,
  hangups: Hangups,
  load: () => LoadedConfig<'l7'>,
  log: Logger,
  { serves, discovery = () => [] }: TierUser,
): Promise<number> {
  const config = load();
  logWarnings(config.warnings, log);
  let running: Running | undefined;
  // Before HAProxy: of two processes with one run directory, the second must not touch the HAProxy of the first.
  const control = await serveControl(
    controlSocket(config.l7.runDirectory),
    l7Routes(() => {
      if (running !== undefined) return running.actions;
      throw new ControlError(503, 'ERR_STARTING', 'HAProxy starts', { hint: 'Ask again in a moment.' });
    }),
    log,
    { field: 'l7.run_dir', taken: 'Another "anyhop l7 run" has this run directory.' },
  );
  try {
    const tier = await Tier.start({ load, config, log });
    running = new Running(tier, discovery, log);
    hangups.handle(async () => {
      await tier.reload().catch(() => undefined); // logged
    });
    sayReady(config, log);
    const serving = running;
    serves?.({
      config: () => tier.config,
      prepare: (next) => tier.prepare(next),
      take: async (read) => void (await tier.reload(read)),
      notReady: () => serving.notReady(),
      sessionsOf: (server, sinceMs) => serving.sessionsOf(server, sinceMs),
    });
    return await running.end(await signals.next(), signals);
  } finally {
    await hangups.close();
    await running?.close();
    await control.close();
  }
}

function sayReady({ l7 }: LoadedConfig<'l7'>, log: Logger): void {
  const { frontends, upstreams } = l7;
  log.info(
    { event: 'ready', frontends: frontends.length, upstreams: upstreams.length },
    `serving ${frontends.map(({ name }) => name).join(', ')}`,
  );
}

/** A tier that serves, and everything that looks at it. */
class Running {
  readonly actions: L7Actions;
  readonly #log: Logger;
  readonly #observed: Observed;
  readonly #health: HealthAnswers;
  readonly #certificates: CertificateWatch;
  readonly #listener: Listener;
  #isEnding = false;

  constructor(tier: Tier, discovery: Observed['discovery'], log: Logger) {
    const locals = new Locals(() => tier.config);
    const watch = new StatsWatch(tier, log);
    const drains = new DrainLoop(tier, () => locals.now(), log);
    this.#log = log;
    this.#observed = { tier, watch, drains, discovery, startedAt: new Date() };
    this.#health = new HealthAnswers({
      config: () => tier.config,
      locals: () => locals.now(),
      health: () => healthOf(this.#observed),
      log,
    });
    this.#certificates = new CertificateWatch(tier, log);
    this.#listener = new Listener(tier.config.l7.metrics, { log, collect: () => l7Tables(this.#observed) });
    tier.onReload(({ l7 }) => this.#listener.use(l7.metrics));
    const status = () => statusOf(this.#observed);
    this.actions = {
      status,
      reload: () => tier.reload(),
      drain: async () => {
        await drains.ask();
        return status();
      },
      undrain: async () => {
        if (this.#isEnding)
          throw new ControlError(409, 'ERR_STOPPING', 'this process is about to end, and drains this host', {
            hint: 'Start "anyhop l7 run" again when it has ended.',
          });
        await drains.undo();
        return status();
      },
      setServer: (target, patch) => tier.setServer(target, patch),
    };
  }

  notReady(): string | undefined {
    const health = healthOf(this.#observed);
    return health.ok ? undefined : health.why;
  }

  sessionsOf(server: ServerTarget, sinceMs: number): number | undefined {
    return this.#observed.watch.sessionsOf(server, sinceMs);
  }

  /** Ends HAProxy as the signal says; a second signal ends it at once. @returns the exit code */
  async end(first: StopSignal, signals: StopSignals): Promise<number> {
    this.#isEnding = true;
    this.#log.info(
      { event: 'stopping', why: first },
      first === 'SIGTERM'
        ? 'this host drains, then this process ends'
        : 'HAProxy ends its connections, then this process ends',
    );
    const { tier, drains } = this.#observed;
    const gently = async (): Promise<void> => {
      if (first === 'SIGINT') {
        await tier.stopHaproxy(tier.config.l7.drainDeadlineMs);
        return;
      }
      await drains.ask();
      await drains.drained();
    };
    try {
      await Promise.race([gently(), signals.next()]);
      return EXIT.ok;
    } catch (error) {
      const why = reasonOf(error);
      this.#log.error({ event: 'stop_failed', why }, `HAProxy cannot be ended gently: ${why}`);
      return EXIT.failure;
    }
  }

  /** HAProxy too. */
  async close(): Promise<void> {
    const { tier, watch, drains } = this.#observed;
    await tier.killHaproxy();
    const parts = [this.#certificates, watch, drains, this.#health, this.#listener];
    await Promise.all(parts.map((part) => part.close()));
    await tier.close();
    // One that was being started meanwhile.
    await tier.killHaproxy();
  }
}
