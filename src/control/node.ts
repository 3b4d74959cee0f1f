/**
 * One node's life: from its config to a running engine, until it is told to stop. What may fail on this machine fails
 * before anything on it is changed.
 */
import type { BackendConfig, LoadedConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { Engine } from '../engine/contract.js';
import { requireCapabilities } from '../engine/portable/capability.js';
import { PortableEngine } from '../engine/portable/engine.js';
import type { EligibilityMode } from '../maglev/eligible.js';
import { P } from '../packet/constants.js';
import { requireEthernetLink } from '../underlay/link.js';
import { lookupRoutes } from '../underlay/route.js';
import { type Assembly, assemble, type Way } from './assemble.js';

/** Any of them ends the run. More of them change nothing: what was changed on the host is taken back first. */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
const NO_MAC = new Uint8Array(6);
/** How often a running node tells its counters. */
const INTERIM_COUNTERS_MS = 60_000;

/**
 * Forwards until SIGINT or SIGTERM.
 * @throws AnyhopError when the machine lacks something; nothing is left changed then
 */
export async function runNode(config: LoadedConfig<'run'>, log: Logger): Promise<void> {
  const { node } = config;
  for (const { line, field, message } of config.warnings)
    log.warn({ event: 'config_warning', line, field }, message);
  requireCapabilities();
  const link = await requireEthernetLink(node.interface);
  const way = await findWays(config);
  warnAboutNarrowWays(config, way, log);
  const assembly = assemble(config, node, { generation: 1, mac: link.mac, way });
  describe(assembly, log);

  const engine: Engine = new PortableEngine({ interface: node.interface, log });
  const reason =
    node.engine === 'auto'
      ? 'auto: the only engine of this version that moves packets on an interface'
      : 'as configured';
  log.info({ event: 'engine', engine: engine.name, reason }, `engine: ${engine.name} (${reason})`);

  const signal = waitForSignal();
  await engine.start(assembly.image);
  log.info(
    {
      event: 'ready',
      node: node.name,
      interface: node.interface,
      engine: engine.name,
      generation: assembly.image.generation,
    },
    `ready: ${node.name} forwards on ${node.interface}`,
  );
  const interim = setInterval(() => {
    logCounters('interim_counters', engine, assembly, log).catch((error: unknown) => {
      log.warn({ event: 'counters_unknown', error }, 'counters could not be read');
    });
  }, INTERIM_COUNTERS_MS);
  try {
    const why = await Promise.race([signal, engine.finished.then(() => 'the engine ended')]);
    log.info({ event: 'stopping', why }, `stopping: ${why}`);
  } finally {
    clearInterval(interim);
    await engine.stop();
    await logCounters('counters', engine, assembly, log);
  }
}

/** @param event `interim_counters` while it runs, `counters` for the final ones */
async function logCounters(
  event: 'interim_counters' | 'counters',
  engine: Engine,
  assembly: Assembly,
  log: Logger,
): Promise<void> {
  const counters = engine.counters();
  log.info(
    {
      event,
      engine: await engine.engineCounters(),
      verdicts: counters.verdictsByName(),
      services: counters.entriesByName('services', assembly.numbers.services.names()),
      backends: counters.entriesByName('backends', assembly.numbers.backends.names()),
    },
    event === 'counters' ? 'final counters' : 'counters so far',
  );
}

/** IPv6's smallest MTU (RFC 8200 section 5): senders keep packets of this size whatever they are told. */
const IPV6_MTU_MIN = 1280;

/** What IPv6 clients send at least must fit the way to each backend of an IPv6 service, with the outer headers. */
function warnAboutNarrowWays(
  config: LoadedConfig<'run'>,
  way: (backend: BackendConfig) => Way,
  log: Logger,
): void {
  const pools = new Set(config.services.filter(({ vip }) => vip.family === 6).map(({ pool }) => pool));
  for (const pool of config.pools) {
    if (!pools.has(pool.name)) continue;
    for (const backend of pool.backends) {
      const outer = (backend.address.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER) + P.GRE_HEADER + P.GRE_KEY;
      const { mtu } = way(backend);
      if (mtu >= IPV6_MTU_MIN + outer) continue;
      log.warn(
        { event: 'narrow_way', backend: `${pool.name}/${backend.name}`, mtu, needed: IPV6_MTU_MIN + outer },
        `the way to ${pool.name}/${backend.name} has an MTU of ${mtu}: IPv6 packets of 1280 bytes do not fit, and no ` +
          `sender makes smaller ones; raise it to ${IPV6_MTU_MIN + outer} or more`,
      );
    }
  }
}

/** The kernel's way to every backend, members of prior states included. */
async function findWays(
  config: LoadedConfig<'run'>,
): Promise<(backend: { address: { text: string } }) => Way> {
  const targets = new Map(
    config.pools.flatMap((pool) =>
      [...pool.backends, ...(pool.prior ?? [])].map(({ name, address }) => [
        address.text,
        { name: `${pool.name}/${name}`, address },
      ]),
    ),
  );
  const routes = await lookupRoutes([...targets.values()]);
  const byAddress = new Map([...targets.keys()].map((text, index) => [text, routes[index]]));
  return ({ address }) => {
    const route = byAddress.get(address.text)!;
    // This engine sends at layer 3: the kernel finds the neighbour, and the template's addresses are never seen.
    return {
      mtu: Math.min(route.mtu, 65535),
      interfaceIndex: route.interfaceIndex,
      sourceMac: route.mac ?? NO_MAC,
      destinationMac: NO_MAC,
      vlan: undefined,
    };
  };
}

/** What a pool's mode means to whoever reads the log; `normal` needs no words. */
const MODES: Record<EligibilityMode, string> = {
  normal: '',
  panic: 'too few backends are up: health marks are ignored',
  draining: 'no active backend is up: the draining ones serve',
  all_down: 'no backend is up: all active ones are tried',
  none: 'no backend can serve: its packets are dropped',
};

function describe(assembly: Assembly, log: Logger): void {
  for (const { config: pool, tables } of assembly.pools) {
    const fields = {
      event: 'pool',
      pool: pool.name,
      backends: pool.backends.length,
      layers: tables.layers,
      mode: tables.mode,
      owners: tables.ownersDigest,
      alternates: tables.alternatesDigest,
    };
    const text = `pool ${pool.name}: ${pool.backends.length} backends`;
    if (tables.mode === 'normal') log.info(fields, text);
    else log.warn(fields, `${text}; ${MODES[tables.mode]}`);
  }
}

function waitForSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of STOP_SIGNALS) process.on(signal, () => resolve(signal));
  });
}
