/**
 * One node's life: from its config to a running engine, until it is told to stop. What may fail on this machine fails
 * before anything on it is changed.
 *
 *   next hops ------\
 *                    marks --change--> Forwarding --new image--> engine
 *   health checks --/                      \-----------------------\--> control socket: status
 */
import type { BackendConfig, LoadedConfig, PoolConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { afXdpReaches } from '../engine/af_xdp/engine.js';
import { engineCandidates } from '../engine/candidates.js';
import { startEngine } from '../engine/choose.js';
import type { Engine, EngineName } from '../engine/contract.js';
import { xdpReaches } from '../engine/xdp/reach.js';
import type { Image } from '../forward/image.js';
import { P } from '../packet/constants.js';
import { formatMac } from '../packet/mac.js';
import { type Link, requireEthernetLink } from '../underlay/link.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import { NextHops } from '../underlay/next-hops.js';
import type { Way } from './assemble.js';
import { Forwarding } from './forwarding.js';
import { NodeHealth } from './node-health.js';
import { Rates } from './rates.js';
import { serveControl } from './server.js';
import { type BackendStatus, nodeStatus, type StatusInput } from './status.js';
import { wayOf } from './way.js';

/**
 * What ends a run. SIGINT is somebody at a terminal: all is taken back. SIGTERM is a service manager, most often about to
 * start the next version: an engine that can goes on forwarding until then.
 */
const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
type StopSignal = (typeof STOP_SIGNALS)[number];
/** How often a running node tells its counters. */
const INTERIM_COUNTERS_MS = 60_000;
/** How often it looks whether packets were lost. */
const LOSSES_MS = 10_000;

/**
 * Forwards until SIGINT or SIGTERM.
 * @throws AnyhopError when the machine lacks something; nothing is left changed then
 */
export async function runNode(config: LoadedConfig<'run'>, log: Logger): Promise<void> {
  const { node } = config;
  const startedAt = new Date();
  for (const { line, field, message } of config.warnings)
    log.warn({ event: 'config_warning', line, field }, message);
  const link = await requireEthernetLink(node.interface);
  let { mac } = link;

  const running = deferred<StatusInput>();
  const status = async () => ({ status: 200, json: await nodeStatus(await running.promise) });
  const control = await serveControl(node.socket, { '/status': { GET: status } }, log);
  const health = new NodeHealth(config, log);
  let hops: NextHops | undefined;
  let rates: Rates | undefined;
  try {
    const signal = waitForSignal();
    await health.prepare();
    const checked = health.start();
    let forwarding!: Forwarding;
    let hopOf!: (address: string) => NextHop | NoNextHop;
    const prepare = async (engine: Engine, predecessor: Image | undefined): Promise<Image> => {
      let unreached: string | undefined;
      await hops?.close();
      const followed = new NextHops({
        log,
        asFrames: engine.name !== 'portable',
        refuse: (hop) => {
          const refusal = engineRefusal(engine.name, hop, link);
          unreached ??= refusal;
          return refusal;
        },
      });
      hops = followed;
      await Promise.all([followed.resolve(targetsOf(config)), checked]);
      if (node.engine === 'auto') requireReach([...followed.current().values()], unreached);
      hopOf = (address) => followed.current().get(address)!;
      const way = ({ address }: BackendConfig): Way | undefined => wayOf(hopOf(address.text), link.index);
      warnAboutNarrowWays(config, way, log);
      health.follow(({ address }) => hopOf(address.text).reason);
      const healthOf = (pool: PoolConfig, backend: BackendConfig) => health.markOf(pool, backend).health;
      forwarding = new Forwarding(config, { mac: () => mac, way, health: healthOf }, predecessor, log);
      return forwarding.assembly.image;
    };
    const candidates = engineCandidates({ ...node, log });
    const { engine, reason } = await startEngine(node.engine, candidates, prepare);
    log.info(
      { event: 'engine', engine: engine.name, mode: engine.mode, reason },
      `engine: ${engine.name}, ${engine.mode} (${reason})`,
    );
    forwarding.drive(engine);
    health.onChange(() => void forwarding.refresh());
    hops!.onChange(() => health.refresh());
    // A bond that fails over takes on another address, and frames for the former one are no longer ours.
    hops!.onLinks((links) => {
      const now = links.get(node.interface)?.mac;
      if (now === undefined || formatMac(now) === formatMac(mac)) return;
      mac = now;
      log.info(
        { event: 'own_mac', mac: formatMac(mac) },
        `${node.interface} has the address ${formatMac(mac)} now`,
      );
      void forwarding.refresh();
    });
    health.refresh(); // what changed since the first image was built
    rates = new Rates(() => engine.counters());
    const nextHop = (address: string): BackendStatus['nextHop'] => {
      const hop = hopOf(address);
      if (hop.reason !== undefined) return { missing: hop.reason };
      const { interface: out, destinationMac, vlan, mtu } = hop;
      return { interface: out, mac: formatMac(destinationMac), mtu, ...(vlan !== undefined && { vlan }) };
    };
    running.resolve({
      config,
      node,
      startedAt,
      engine,
      engineReason: reason,
      forwarding,
      rates,
      nextHop,
      mark: (pool, backend) => health.markOf(pool, backend),
      readiness: () => ({ ready: true, reasons: [] }),
      configFile: () => ({ file: config.file, loadedAt: startedAt.toISOString() }),
      overrides: () => [],
      change: () => ({ queued: [] }),
      drain: () => undefined,
    });
    log.info(
      {
        event: 'ready',
        node: node.name,
        interface: node.interface,
        engine: engine.name,
        generation: forwarding.assembly.image.generation,
      },
      `ready: ${node.name} forwards on ${node.interface}`,
    );
    await forward(engine, forwarding, signal, log);
  } finally {
    rates?.close();
    health.close();
    await hops?.close();
    await control.close();
  }
}

/** Until a signal comes or the engine ends. */
async function forward(
  engine: Engine,
  forwarding: Forwarding,
  signal: Promise<StopSignal>,
  log: Logger,
): Promise<void> {
  const interim = setInterval(() => {
    logCounters('interim_counters', engine, forwarding, log).catch((error: unknown) => {
      log.warn({ event: 'counters_unknown', error }, 'counters could not be read');
    });
  }, INTERIM_COUNTERS_MS);
  const losses = engine.name === 'portable' ? undefined : watchLosses(engine, log); // it tells of its own
  let leaves = false;
  try {
    const why = await Promise.race([signal, engine.finished.then(() => 'the engine ended')]);
    leaves = why === 'SIGTERM';
    log.info({ event: 'stopping', why }, `stopping: ${why}`);
  } finally {
    clearInterval(interim);
    clearInterval(losses);
    let goesOn = false;
    if (leaves) goesOn = await engine.leave();
    else await engine.stop();
    await logCounters('counters', engine, forwarding, log);
    if (goesOn) {
      log.info(
        { event: 'left_forwarding', generation: forwarding.assembly.image.generation },
        'forwarding goes on in the kernel, by the last image; the next `anyhop run` takes over, `anyhop stop` ends it',
      );
    }
  }
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
async function logCounters(
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

/** IPv6's smallest MTU (RFC 8200 section 5): senders keep packets of this size whatever they are told. */
const IPV6_MTU_MIN = 1280;

/** What IPv6 clients send at least must fit the way to each backend of an IPv6 service, with the outer headers. */
function warnAboutNarrowWays(
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

/** Why an engine cannot send to a next hop, or undefined. */
function engineRefusal(engine: EngineName, hop: NextHop, link: Link): string | undefined {
  if (engine === 'af_xdp' && !afXdpReaches(hop.interfaceIndex, link.index))
    return `its way leads out of ${hop.interface}, and af_xdp sends out of ${link.name} alone`;
  if (engine === 'xdp' && !xdpReaches(hop, link.index))
    return `its way leads out of ${hop.interface}, and xdp cannot send out of a ${hop.kind}`;
  return undefined;
}

/**
 * An engine that works, but reaches none of the backends that have a next hop, is no engine for this node.
 * @param unreached why it cannot send to one of them; undefined when it can send to all
 * @throws AnyhopError ERR_ROUTE
 */
function requireReach(hops: readonly (NextHop | NoNextHop)[], unreached: string | undefined): void {
  if (unreached === undefined || hops.some(({ reason }) => reason === undefined)) return;
  throw new AnyhopError('ERR_ROUTE', `it reaches no backend: ${unreached}`);
}

/** Every backend that the tables may name, members of prior states included. */
function targetsOf(config: LoadedConfig<'run'>) {
  return config.pools.flatMap((pool) =>
    [...pool.backends, ...(pool.prior ?? [])].map(({ name, address }) => ({
      name: `${pool.name}/${name}`,
      address,
    })),
  );
}

function waitForSignal(): Promise<StopSignal> {
  return new Promise((resolve) => {
    // More of them change nothing: what was changed on the host is taken back first.
    for (const signal of STOP_SIGNALS) process.on(signal, () => resolve(signal));
  });
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
