/**
 * The process `anyhop l7 run`: the tier with everything around it, from its start to its end.
 *
 *   SIGHUP    reads the config again
 *   SIGTERM   drains this host, then ends; its mark stays, so that the forwarders go on draining it
 *   SIGINT    lets HAProxy end its connections, and ends
 *   a second SIGTERM or SIGINT ends all at once
 */
import { localBackends } from '../agent/environment.js';
import { backendAddresses, fleetOf } from '../agent/fleet.js';
import { thisSystem } from '../agent/system.js';
import type { UnderlayServer } from '../agent/underlay-server.js';
import { serveControl } from '../api/server.js';
import { logWarnings } from '../config/error.js';
import type { LoadedConfig } from '../config/types.js';
import { EXIT } from '../core/errors.js';
import { Hangups } from '../core/hangups.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import type { IpAddress } from '../packet/address.js';
import { l7Routes } from './api.js';
import { CertificateWatch } from './certificate-watch.js';
import { DrainLoop } from './drain-loop.js';
import { serveHealth } from './health-answer.js';
import { controlSocket } from './place.js';
import { healthOf, statusOf } from './proxy-status.js';
import { Tier } from './tier.js';
import { StatsWatch } from './watch.js';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
type StopSignal = (typeof STOP_SIGNALS)[number];

/**
 * Runs until a signal.
 * @param load reads the config, also for a reload
 * @returns the exit code
 * @throws ConfigError, AnyhopError when it cannot start
 */
export async function runL7(load: () => LoadedConfig<'l7'>, log: Logger): Promise<number> {
  // Before anything else: a SIGHUP that comes while it starts must not end it.
  const hangups = new Hangups();
  const signals = stopSignals();
  const startedAt = new Date();
  const config = load();
  logWarnings(config.warnings, log);
  const tier = await Tier.start(load, config, log);
  const watch = new StatsWatch(tier, log);
  const drains = new DrainLoop(tier, () => localsOf(tier.config), log);
  const around = { tier, watch, drains, startedAt };
  let health = healthServer(around, log);
  const certificates = new CertificateWatch(tier.config.l7, tier.inputs.certificates, log, (next) =>
    tier.setCertificates(next),
  );
  tier.onChange(() => {
    certificates.follow(tier.config.l7, tier.inputs.certificates);
    const former = health;
    void former.close().then(() => {
      health = healthServer(around, log);
    });
  });
  const control = await serveControl(
    controlSocket(config.l7.runDirectory),
    l7Routes({
      status: () => statusOf(around),
      reload: () => tier.reload(),
      drain: async () => {
        await drains.ask();
        return statusOf(around);
      },
      undrain: async () => {
        await drains.undo();
        return statusOf(around);
      },
      setServer: (target, patch) => tier.setServer(target, patch),
    }),
    log,
  );
  hangups.handle(async () => {
    await tier.reload().catch(() => undefined); // logged
  });
  drains.begin();
  log.info(
    { event: 'ready', frontends: config.l7.frontends.length, upstreams: config.l7.upstreams.length },
    `serving ${config.l7.frontends.map(({ name }) => name).join(', ')}`,
  );
  const first = await signals.next();
  log.info(
    { event: 'stopping', why: first },
    first === 'SIGTERM' ? 'this host drains, then this process ends' : 'this process ends',
  );
  const code = await end(first, signals, around, log);
  certificates.close();
  watch.close();
  await hangups.close();
  await drains.close();
  await health.close();
  await control.close();
  tier.close();
  return code;
}

interface Around {
  readonly tier: Tier;
  readonly watch: StatsWatch;
  readonly drains: DrainLoop;
  readonly startedAt: Date;
}

/** Ends HAProxy as the signal says; a second signal ends it at once. */
async function end(
  first: StopSignal,
  signals: Signals,
  { tier, drains }: Around,
  log: Logger,
): Promise<number> {
  const gently = async (): Promise<void> => {
    if (first === 'SIGTERM') {
      await drains.ask();
      await drains.drained();
    } else await tier.stopHaproxy(tier.config.l7.drainDeadlineMs);
  };
  try {
    await Promise.race([gently(), signals.next()]);
    await tier.killHaproxy();
    return EXIT.ok;
  } catch (error) {
    log.error({ event: 'stop_failed', why: reasonOf(error) }, `HAProxy cannot be ended: ${reasonOf(error)}`);
    return EXIT.failure;
  }
}

function healthServer(around: Around, log: Logger): UnderlayServer {
  const { config } = around.tier;
  return serveHealth(fleetOf(config), config.l7.healthPort, localsOf(config), () => healthOf(around), log);
}

function localsOf(config: LoadedConfig<'l7'>): IpAddress[] {
  return localBackends(backendAddresses(config), thisSystem);
}

interface Signals {
  /** Resolves at the next signal that has not been taken. */
  next(): Promise<StopSignal>;
}

function stopSignals(): Signals {
  const came: StopSignal[] = [];
  let waiting: ((signal: StopSignal) => void) | undefined;
  for (const signal of STOP_SIGNALS)
    process.on(signal, () => {
      if (waiting === undefined) came.push(signal);
      else waiting(signal);
      waiting = undefined;
    });
  return {
    next: () =>
      new Promise((resolve) => {
        const signal = came.shift();
        if (signal === undefined) waiting = resolve;
        else resolve(signal);
      }),
  };
}
