/**
 * One node's life: from its config to a running engine, until it is told to stop. What may fail on this machine fails
 * before anything on it is changed.
 *
 *   config file, drain, weight ---\
 *   health checks, next hops ------> NodePools --what is in force--> Forwarding --image--> engine
 *   memory of a process before ---/       \------------------------------\--> control socket
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentReport } from '../agent/report.js';
import { controlRoutes } from '../api/routes.js';
import { serveControl } from '../api/server.js';
import type { ConfigFileStatus } from '../api/status.js';
import { logWarnings } from '../config/error.js';
import type { BackendConfig, LoadedConfig } from '../config/types.js';
import { readClocks } from '../core/clock.js';
import { AnyhopError } from '../core/errors.js';
import { AGENT_REPORT_PORT_DEFAULT } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { formatDuration } from '../core/time.js';
import { afXdpReaches } from '../engine/af_xdp/engine.js';
import { engineCandidates } from '../engine/candidates.js';
import { type ChosenEngine, startEngine } from '../engine/choose.js';
import type { Engine, EngineName } from '../engine/contract.js';
import { xdpReaches } from '../engine/xdp/reach.js';
import { keyFingerprint } from '../hash/key.js';
import { Probes } from '../health/probes.js';
import type { Image } from '../image/read.js';
import type { IpAddress } from '../packet/address.js';
import { markedBackends, type NamedBackend, reachedBackends } from '../pool/membership.js';
import { type Link, requireEthernetLink } from '../underlay/link.js';
import type { NextHop, NoNextHop } from '../underlay/next-hop.js';
import { NextHops } from '../underlay/next-hops.js';
import { requireOffLink } from '../underlay/on-link.js';
import { OwnMacs } from '../underlay/own-macs.js';
import { warnAboutVeth } from '../underlay/veth.js';
import { type Forwarded, NodeActions, type ReadConfig } from './actions.js';
import { Agents } from './agents.js';
import type { Way } from './assemble.js';
import { deferred } from './deferred.js';
import { Drains } from './drains.js';
import { EventRing, recorded } from './events.js';
import { Forwarding } from './forwarding.js';
import { LocalVips } from './local-vips.js';
import { marksIn, withSources } from './memory.js';
import { NodeHealth } from './node-health.js';
import { logCounters, tellRegularly, warnAboutNarrowWays } from './node-log.js';
import { NodePools } from './node-pools.js';
import { Paths } from './paths.js';
import { changeStatus, overrideStatus } from './pool-status.js';
import { Rates } from './rates.js';
import { NodeReadiness } from './readiness.js';
import { selfTest } from './self-test.js';
import { Hangups, type StopSignals, stopSignals } from './signals.js';
import { StateStore } from './state-store.js';
import { nodeStatus } from './status.js';
import { wayOf } from './way.js';

export interface RunOptions {
  readonly first: ReadConfig;
  /** Reads the config file anew. @throws ConfigError */
  readonly load: () => ReadConfig;
  /** Pools that have another name in `first` than in the config that was in force before, by the new one. */
  readonly renamed?: ReadonlyMap<string, string>;
  /** Why `first` is not what the file says. */
  readonly refused?: ConfigFileStatus['refused'];
}

/**
 * Forwards until SIGINT or SIGTERM.
 * @throws AnyhopError when the machine lacks something; nothing is left changed then
 */
export async function runNode({ first, load, renamed, refused }: RunOptions, outer: Logger): Promise<void> {
  const events = new EventRing();
  const log = recorded(outer, events);
  const { node } = first.config;
  const startedAt = new Date();
  const hangups = new Hangups(); // first of all: until there is somebody to take it, the signal would end the process
  const now = (): number => performance.timeOrigin + performance.now();
  logWarnings(first.config.warnings, log);
  const link = await requireEthernetLink(node.interface);
  await requireOffLink(node.source4);
  const macs = new OwnMacs(node.interface, link.mac, log);
  await macs.refresh();
  const localVips = new LocalVips(() => pools.config, log);
  await localVips.permit(first.config);

  const stop = stopSignals();
  const store = new StateStore(node.stateDirectory, node.name, log, readClocks);
  const memory = withSources(await store.read(), node, log);
  const isLocal = (vip: IpAddress): boolean => localVips.has(vip);
  const health = new NodeHealth(marksIn(memory), log, now, new Probes({ ...node, isLocal }));
  const running = deferred<Forwarded>();
  let hops: NextHops | undefined;
  let forwarding: Forwarding | undefined;
  let rates: Rates | undefined;
  /**
   * Until then the kernel may forward by what a process before this one has left there, and what is remembered is of that: a start that
   * fails must not count as a change, or nobody would know any more who has the connections.
   */
  let forwards = false;
  const hopOf = (address: string): NextHop | NoNextHop =>
    hops?.current().get(address) ?? { reason: 'its next hop is being resolved' };
  const paths = new Paths({
    node,
    config: () => pools.config,
    nextHop: hopOf,
    changed: () => void forwarding?.refresh(),
    now,
    log,
  });
  const way = (backend: BackendConfig): Way | undefined =>
    paths.along(backend, wayOf(hopOf(backend.address.text), link.index));
  const readiness = new NodeReadiness({
    node: node.name,
    interface: node.interface,
    log,
    services: first.config.services,
    noWay: ({ address }) => hopOf(address.text).reason,
  });
  readiness.sawLinks(new Map([[link.name, link]]));

  const agents = new Agents({ port: () => pools.file.agent?.reportPort ?? AGENT_REPORT_PORT_DEFAULT });
  const drains = new Drains({
    log,
    now,
    count: async (address) => connectionsOf(await agents.ask(address)),
    changed: () => pools.marksChanged(),
  });
  let followed: LoadedConfig<'run'> | undefined;
  /** @returns whether what is in force has changed since the last time */
  const followDrains = (): boolean => {
    const { config, pools: all } = pools;
    if (followed === config) return false;
    followed = config;
    drains.follow(all, config.services);
    agents.follow(markedBackends(all));
    return true;
  };
  const pools = new NodePools({
    file: first.config,
    memory,
    ...(renamed && { renamed }),
    log,
    now,
    surroundings: {
      permit: (config) => localVips.permit(config),
      reach: (backends) => hops!.resolve(targetsOf(backends)),
      check: (backends) => health.check(backends),
      judge: (backends) => health.judge(backends),
      health: (pool, backend) => health.markOf(pool, backend)?.health,
      holds(pool) {
        followDrains(); // after a restart nobody has been asked yet, and what waits must go on waiting
        return drains.holds(pool);
      },
      publish() {
        if (followDrains()) setImmediate(() => pools.marksChanged()); // who drains now holds up what is planned next
        return forwarding?.refresh() ?? Promise.resolve();
      },
      remember: async (all) => {
        if (forwards) await store.write(all);
      },
    },
  });
  const actions = new NodeActions({
    pools,
    load,
    accepted: async (read) => {
      warnAboutNarrowWays(pools.config, hopOf, log);
      await store.keepConfig(read.config.file, read.text, read.config.node.key);
    },
    mark: (pool, backend) => health.markOf(pool, backend),
    readiness: () => readiness.current(),
    unkept: () => store.problem,
    events: () => events.report(),
    facts(pool) {
      const known = reachedBackends(pools.pools).filter((each) => each.pool.name === pool);
      // The one in force is the first of its name.
      const byName = new Map(known.map(({ backend }) => [backend.name, backend] as const).reverse());
      return {
        isDrained: (name) => drains.isDrained(pool, name),
        // One that is still to come is not followed yet.
        isReachable: (name) => !byName.has(name) || way(byName.get(name)!) !== undefined,
      };
    },
    forwarded: running.promise,
    configFile: { file: first.config.file, loadedAt: startedAt.toISOString(), ...(refused && { refused }) },
    now,
    log,
  });
  hangups.on(() => reloadBySignal(actions, log));

  /** What the engine starts with, once it is known which one it is: they reach different backends. */
  const prepare = async (
    checked: Promise<void>,
    engine: Engine,
    predecessor: Image | undefined,
  ): Promise<Image> => {
    let unreached: string | undefined;
    await hops?.close();
    const known = new NextHops({
      log,
      sources: { source4: node.source4?.address, source6: node.source6?.address },
      asFrames: engine.name !== 'portable',
      refuse: (hop) => {
        const refusal = engineRefusal(engine.name, hop, link);
        unreached ??= refusal;
        return refusal;
      },
    });
    hops = known;
    const reached = known.resolve(targetsOf(reachedBackends(pools.pools)));
    await Promise.race([Promise.all([reached, checked]), stop.first.then(stopsWhileStarting)]);
    readiness.passed('nextHops');
    readiness.passed('health');
    if (node.engine === 'auto') requireReach([...known.current().values()], unreached);
    health.follow(({ address }) => hopOf(address.text).reason);
    health.judge(markedBackends(pools.pools));
    pools.start();
    warnAboutNarrowWays(pools.config, hopOf, log);
    const options = {
      config: () => pools.config,
      macs: () => macs.current(),
      way,
      health: (pool: { readonly name: string }, { name }: BackendConfig) =>
        health.markOf(pool.name, name)?.health ?? 'down',
      drained: (pool: { readonly name: string }, { name }: BackendConfig) =>
        drains.isDrained(pool.name, name),
    };
    forwarding = new Forwarding(options, predecessor, log);
    return forwarding.assembly.image;
  };

  const control = await serveControl(node.socket, controlRoutes(actions), log);
  try {
    const checked = health.check(markedBackends(pools.pools));
    checked.catch(() => undefined); // `prepare` waits for it, if it comes to that
    const candidates = engineCandidates({ ...node, log });
    const chosen = await startEngine(node.engine, candidates, (engine, before) =>
      prepare(checked, engine, before),
    );
    const { engine, reason } = chosen;
    const isSlower = node.engine === 'auto' && engine.name !== candidates[0].name;
    log[isSlower ? 'warn' : 'info'](
      { event: 'engine', engine: engine.name, mode: engine.mode, reason },
      `engine: ${engine.name}, ${engine.mode} (${reason})`,
    );
    readiness.passed('engine');
    warnAboutVeth(link, engine.name === 'xdp', log); // the others send by the stack
    const inForce = forwarding!;
    try {
      await selfTest(engine, inForce.assembly.image, pools.config);
    } catch (error) {
      await engine.stop(); // one that forwards wrongly must not forward
      throw error;
    }
    inForce.drive(engine);
    forwards = true;
    await store.write(pools.pools); // a change of the file while no process runs must find it
    health.onChange(() => pools.marksChanged());
    hops!.onChange((changes) => paths.hopsChanged(changes));
    paths.start();
    hops!.onChange(() => health.refresh());
    // A bond that fails over takes on another address, and frames for the former one are no longer ours.
    hops!.onLinks((links) => {
      readiness.sawLinks(links);
      void macs.refresh(links).then((changed) => changed && inForce.refresh());
      void localVips.look();
    });
    health.refresh(); // what changed since the first image was built
    rates = new Rates(() => engine.counters());
    const counted = rates;
    running.resolve({
      engine,
      forwarding: inForce,
      status: () =>
        nodeStatus({
          config: pools.config,
          node,
          startedAt,
          keyFingerprint: keyFingerprint(pools.file.node.key.reveal()),
          engine,
          engineReason: reason,
          forwarding: inForce,
          rates: counted,
          nextHop: (address) => paths.status(address, hopOf(address)),
          pathReports: () => paths.counts,
          mark: (pool, backend) => health.markOf(pool.name, backend.name),
          readiness: () => readiness.current(),
          configFile: () => actions.configFile,
          overrides: () => overrideStatus(pools.pools),
          change: (pool) => changeStatus(pools.pools.get(pool)),
          drain: (pool, backend) => drains.status(pool.name, backend.name),
          agent: (address) => agents.status(address),
        }),
    });
    if (refused === undefined) await store.keepConfig(first.config.file, first.text, node.key);
    readiness.follow(
      () => ({
        services: pools.config.services,
        pools: inForce.assembly.pools,
        detached: engine.detached,
      }),
      { engine: engine.name, generation: inForce.assembly.image.generation },
    );
    const stopDelayMs = (): number => pools.file.node.stopDelayMs;
    await forward(chosen, inForce, {
      stop,
      readiness,
      macs: () => macs.current(),
      log,
      stopDelayMs,
      ends: () => pools.close(),
    });
  } catch (error) {
    if (!(error instanceof StoppedWhileStarting)) throw error;
    log.info(
      { event: 'stopping', why: error.message },
      `stopping: ${error.message}, before anything was changed`,
    );
  } finally {
    pools.close();
    readiness.close();
    rates?.close();
    drains.close();
    agents.close();
    health.close();
    paths.close();
    await hops?.close();
    if (forwards) await store.write(pools.pools);
    await control.close();
    hangups.close();
  }
}

/** While next hops and first checks are waited for, which may take as long as a check does. */
class StoppedWhileStarting extends Error {}

function stopsWhileStarting(signal: string): never {
  throw new StoppedWhileStarting(signal);
}

interface Ending {
  readonly stop: StopSignals;
  readonly readiness: NodeReadiness;
  readonly macs: () => readonly Uint8Array[];
  readonly log: Logger;
  readonly stopDelayMs: () => number;
  /** Called before the engine ends: nothing more is to be published. */
  readonly ends: () => void;
}

/** Until a signal comes or the engine ends. */
async function forward({ engine }: ChosenEngine, forwarding: Forwarding, ending: Ending): Promise<void> {
  const { stop, readiness, log } = ending;
  const quiet = tellRegularly(engine, forwarding, ending.macs, log);
  let leaves = false;
  try {
    const ended = engine.finished.then(() => 'the engine ended');
    const why = await Promise.race([stop.first, ended]);
    leaves = why === 'SIGTERM';
    readiness.stops(why);
    log.info({ event: 'stopping', why }, `stopping: ${why}`);
    const delayMs = ending.stopDelayMs();
    if (delayMs > 0 && why !== 'the engine ended') {
      const text = `not ready; forwarding goes on for ${formatDuration(delayMs)} (another signal ends it)`;
      log.info({ event: 'stop_delay', delayMs }, text);
      const over = new AbortController();
      await Promise.race([
        delay(delayMs, undefined, { signal: over.signal }).catch(() => undefined),
        stop.second,
        ended,
      ]);
      over.abort();
    }
  } finally {
    quiet();
    ending.ends();
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

/** It waits until the node forwards. What became of it is in the log. */
function reloadBySignal(actions: NodeActions, log: Logger): void {
  log.info({ event: 'reload', by: 'SIGHUP' }, 'the config file is read anew');
  actions.reloadOnceForwarding().catch(() => undefined);
}

/** By service. */
function connectionsOf({ vips }: AgentReport): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { services } of vips)
    for (const [name, count] of Object.entries(services)) sums.set(name, (sums.get(name) ?? 0) + count);
  return sums;
}

function targetsOf(backends: readonly NamedBackend[]) {
  return backends.map(({ pool, backend: { name, address } }) => ({ name: `${pool.name}/${name}`, address }));
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
