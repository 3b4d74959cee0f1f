/** What a running node tells of its own accord: counters once a minute, packets lost, ways that are too narrow. */
import type { BackendConfig, LoadedConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { Engine } from '../engine/contract.js';
import { P } from '../packet/constants.js';
import type { Way } from './assemble.js';
import type { Forwarding } from './forwarding.js';

const INTERIM_COUNTERS_MS = 60_000;
/** How often a node looks whether packets were lost. */
const LOSSES_MS = 10_000;
/** IPv6's smallest MTU (RFC 8200 section 5): senders keep packets of this size whatever they are told. */
const IPV6_MTU_MIN = 1280;

/** Tells until the returned function is called. */
export function tellRegularly(engine: Engine, forwarding: Forwarding, log: Logger): () => void {
  const interim = setInterval(() => {
    logCounters('interim_counters', engine, forwarding, log).catch((error: unknown) => {
      log.warn({ event: 'counters_unknown', error }, 'counters could not be read');
    });
  }, INTERIM_COUNTERS_MS);
  const losses = engine.name === 'portable' ? undefined : watchLosses(engine, log); // it tells of its own
  return () => {
    clearInterval(interim);
    clearInterval(losses);
  };
}

/** Tells of packets that the engine lost, when there are more of them than before. */
function watchLosses(engine: Engine, log: Logger): NodeJS.Timeout {
  const told = { sendFailed: 0, missed: 0 };
  const look = async (): Promise<void> => {
    const { sendFailed, missed } = await engine.engineCounters();
    // NaN, what cannot be told, is not more than anything.
    if (!(sendFailed > told.sendFailed || missed > told.missed)) return;
    Object.assign(told, { sendFailed, missed });
    log.warn(
      { event: 'packets_lost', engine: engine.name, sendFailed, missed },
      `${sendFailed} packets could not be sent and ${missed} were missed since the start (a veth takes frames only if its ` +
        'far end has an XDP program or GRO on; a full ring misses packets)',
    );
  };
  return setInterval(() => {
    look().catch((error: unknown) => {
      log.warn({ event: 'counters_unknown', error }, 'counters could not be read');
    });
  }, LOSSES_MS).unref();
}

/** @param event `interim_counters` while it runs, `counters` for the final ones */
export async function logCounters(
  event: 'interim_counters' | 'counters',
  engine: Engine,
  { assembly: { numbers } }: Forwarding,
  log: Logger,
): Promise<void> {
  const counters = engine.counters();
  log.info(
    {
      event,
      engine: await engine.engineCounters(),
      verdicts: counters.verdictsByName(),
      services: counters.entriesByName('services', numbers.services.names()),
      backends: counters.entriesByName('backends', numbers.backends.names()),
    },
    event === 'counters' ? 'final counters' : 'counters so far',
  );
}

/** What IPv6 clients send at least must fit the way to each backend of an IPv6 service, with the outer headers. */
export function warnAboutNarrowWays(
  config: LoadedConfig<'run'>,
  way: (backend: BackendConfig) => Way | undefined,
  log: Logger,
): void {
  const pools = new Set(config.services.filter(({ vip }) => vip.family === 6).map(({ pool }) => pool));
  for (const pool of config.pools) {
    if (!pools.has(pool.name)) continue;
    for (const backend of pool.backends) {
      const outer = (backend.address.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER) + P.GRE_HEADER + P.GRE_KEY;
      const mtu = way(backend)?.mtu;
      if (mtu === undefined || mtu >= IPV6_MTU_MIN + outer) continue;
      log.warn(
        { event: 'narrow_way', backend: `${pool.name}/${backend.name}`, mtu, needed: IPV6_MTU_MIN + outer },
        `the way to ${pool.name}/${backend.name} has an MTU of ${mtu}: IPv6 packets of 1280 bytes do not fit, and no ` +
          `sender makes smaller ones; raise it to ${IPV6_MTU_MIN + outer} or more`,
      );
    }
  }
}
