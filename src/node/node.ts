/**
 * One node, from its config to a running engine and to its end. run.ts has the order of its phases.
 *
 *   config file, drain, weight ---\
 *   health checks, next hops ------> NodePools --what is in force--> Forwarding --image--> engine
 *   memory of the process before -/       \------------------------------\--> control socket, those who follow
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ControlServer } from '../api/server.js';
import type { NodeStatus } from '../api/status.js';
import { keyFingerprint } from '../config/key-fingerprint.js';
import type { Hangups } from '../core/hangups.js';
import type { Logger } from '../core/log.js';
import { engineCandidates } from '../engine/candidates.js';
import { type ChosenEngine, startEngine } from '../engine/choose.js';
import type { EventStore } from '../events/store.js';
import { markedBackends } from '../pool/membership.js';
import { warnAboutVeth } from '../underlay/veth.js';
import type { Listener } from '../web/listener.js';
import type { Forwarded } from './action-parts.js';
import { NodeActions } from './actions.js';
import { type AgentDrains, followAgents } from './agent-drains.js';
import { AgreedHealth } from './agreed-health.js';
import { Backends } from './backends.js';
import { NodeDefence } from './defence.js';
import { DefenceStore } from './defence-store.js';
import { type First, firstImage, followChanges } from './first-image.js';
import { Following } from './following.js';
import { listenFor, pagesOf } from './listening.js';
import { logCounters, tellRegularly, warnAboutNarrowPaths } from './node-log.js';
import { NodePools } from './node-pools.js';
import { changeStatus, drainStatus, editStatus, overrideStatus } from './pool-status.js';
import type { Host } from './prepare.js';
import { Rates } from './rates.js';
import { NodeReadiness } from './readiness.js';
import type { RunOptions } from './run.js';
import { selfTest } from './self-test.js';
import { lameDuck } from './signals.js';
import { nodeStatus } from './status.js';
import type { NodeSurroundings } from './surroundings.js';

/** Why it stops, beside signals. */
const ENGINE_ENDED = 'the engine ended';
/** The signal at which an engine that can forwards on without the process. */
const LEAVES_AT = 'SIGTERM';

export interface Running extends Forwarded {
  /** Whether `auto` would rather have another engine, which does not work here. */
  readonly isSlower: boolean;
  readonly rates: Rates;
}

export class Node {
  readonly actions: NodeActions;
  readonly #options: RunOptions;
  readonly #host: Host;
  readonly #log: Logger;
  readonly #startedAt = new Date();
  readonly #backends: Backends;
  /** Undefined where the node goes by its own view. */
  readonly #agreed: AgreedHealth | undefined;
  readonly #readiness: NodeReadiness;
  readonly #following: Following;
  readonly #pools: NodePools;
  readonly #defence: NodeDefence;
  readonly #agentDrains: AgentDrains;
  readonly #listener: Listener;
  #running: Running | undefined;
  #stoppedBy = '';

  constructor(options: RunOptions, host: Host, events: EventStore, log: Logger) {
    const { first, load, renamed, refused } = options;
    const { file } = first.config;
    const now = (): number => performance.timeOrigin + performance.now();
    this.#options = options;
    this.#host = host;
    this.#log = log;
    this.#backends = new Backends(first.config, host, now, log);
    this.#agreed =
      options.fleet?.views &&
      new AgreedHealth({
        views: options.fleet.views,
        own: this.#backends.health.why,
        noWay: (backend) => this.#backends.noWay(backend),
        pools: () => this.#pools.pools,
        changed: () => this.#backends.health.refresh(),
        log,
      });
    this.#readiness = new NodeReadiness({
      node: first.config.node.name,
      interface: host.link.name,
      log,
      services: first.config.services,
      noWay: (backend) => this.#backends.noWay(backend),
      behind: options.fleet?.behind,
      blind: () => this.#agreed?.blind,
      changed: this.#changed,
    });
    this.#following = new Following({
      node: first.config.node.name,
      startedAt: this.#startedAt,
      link: host.link,
      services: first.config.services,
      readiness: this.#readiness,
      forwarded: () => {
        if (this.#running === undefined) return undefined;
        const { engine, forwarding } = this.#running;
        return { engine, assembly: forwarding.assembly };
      },
    });
    this.#readiness.sawLinks(new Map([[host.link.name, host.link]]));
    host.store.keys.add(first.config.node);
    this.#pools = new NodePools({
      file: first.config,
      memory: host.memory,
      ...(renamed && { renamed }),
      surroundings: this.#surroundings(),
      log,
      now,
    });
    this.#backends.drains.onChange(() => this.#pools.marksChanged());
    this.#agentDrains = followAgents({
      agents: this.#backends.agents,
      pools: this.#pools,
      forwarding: () => this.#running?.forwarding,
      now,
      log,
    });
    const { stateDirectory, name } = first.config.node;
    this.#defence = new NodeDefence({
      file: () => this.#pools.file,
      store: new DefenceStore(stateDirectory, name, log),
      listsFile: join(stateDirectory, `${name}-lists.json`),
      changed: () => void this.#running?.forwarding.refresh(),
      force: options.force,
      log,
    });
    this.#backends.agents.onReport((address, answer) => this.#defence.heard(address, answer));
    this.actions = new NodeActions({
      pools: this.#pools,
      defence: this.#defence,
      load,
      edits: options.edits,
      accepted: async (read, force) => {
        warnAboutNarrowPaths(this.#pools.recipients, (address) => this.#backends.hops.of(address), log);
        this.#listener.use(read.config.node.metrics, pagesOf(read.config.node));
        await host.store.keepConfig(read.config.file, read.text, read.config.node.key);
        return await this.#defence.use(force);
      },
      keys: host.store.keys,
      readiness: () => this.#readiness.current(),
      revision: () => options.fleet?.revision(),
      following: this.#following,
      unkept: () => host.store.problem ?? options.edits?.problem,
      events: (query) => events.report(query),
      facts: (pool) => this.#backends.facts(pool),
      isDrained: (pool, backend) => this.#backends.drains.status(pool, backend)?.done === true,
      forwarded: () => this.#running,
      configFile: { file, loadedAt: this.#startedAt.toISOString(), ...(refused && { refused }) },
      now,
      log,
    });
    this.#listener = listenFor({
      config: first.config,
      pools: this.#pools,
      backends: this.#backends,
      readiness: this.#readiness,
      defence: this.#defence,
      configFile: () => this.actions.configFile,
      unkept: () => host.store.problem,
      views: () => this.#agreed?.fresh,
      fleet: () => options.fleet?.status(),
      discovery: () => options.discovery?.status() ?? [],
      forwarded: () => this.#running,
      log,
    });
  }

  /**
   * Starts the engine that the config names, or the fastest that works here.
   * @throws AnyhopError when none can start, or it fails its self-test
   */
  async start(): Promise<Running> {
    const { first, refused, force } = this.#options;
    const { node } = first.config;
    const { link, store } = this.#host;
    const { health } = this.#backends;
    const checked = health.check(markedBackends(this.#pools.pools));
    checked.catch(() => undefined); // the first image of each engine waits for it, and throws
    const listed = this.#defence.prepare();
    const parts = {
      isAuto: node.engine === 'auto',
      host: this.#host,
      backends: this.#backends,
      pools: this.#pools,
      defence: this.#defence,
      readiness: this.#readiness,
      following: this.#following,
      log: this.#log,
    };
    const candidates = engineCandidates({ ...node, force, log: this.#log, changed: this.#changed });
    const chosen = await startEngine(node.engine, candidates, (candidate, predecessor) =>
      firstImage(parts, [checked, listed], candidate, predecessor),
    );
    const { engine, reason } = chosen;
    const { forwarding, lists } = chosen.first;
    const isSlower = node.engine === 'auto' && engine.name !== candidates[0].name;
    this.#log[isSlower ? 'warn' : 'info'](
      { event: 'engine', engine: engine.name, mode: engine.mode, reason },
      `engine: ${engine.name}, ${engine.mode} (${reason})`,
    );
    this.#readiness.passed('engine');
    warnAboutVeth(link, engine.sends === 'xdp', this.#log);
    await this.#defence.start(engine, lists, () => forwarding.assembly);
    try {
      await selfTest(engine, forwarding.image, this.#pools.file);
    } catch (error) {
      await engine.stop(); // one that forwards wrongly must not forward
      throw error;
    }
    forwarding.drive(engine);
    const rates = new Rates(() => engine.counters());
    const status = (): Promise<NodeStatus> => this.#status(chosen, rates);
    const running: Running = { engine, isSlower, forwarding, rates, status };
    this.#running = running;
    followChanges(parts, forwarding);
    this.#pools.forwards(); // publishes anew: agents may have said meanwhile that they take cookies
    // Before a reload does it: a file that changes while no process runs is compared with what is in force.
    await Promise.all([
      store.write(this.#pools.pools),
      refused === undefined && store.keepConfig(first.config.file, first.text, node.key),
    ]);
    this.#readiness.follow(
      () => ({
        services: forwarding.assembly.services,
        pools: forwarding.assembly.pools,
        detached: engine.detached,
      }),
      { engine: engine.name, generation: forwarding.image.generation },
    );
    this.#following.serves();
    return running;
  }

  /** Forwards until a signal comes or the engine ends, and for node.stop_delay after a signal. */
  async serve({ engine, forwarding }: Running, hangups: Hangups): Promise<void> {
    const { stop, macs } = this.#host;
    hangups.handle(async () => {
      this.#log.info({ event: 'reload', by: 'SIGHUP' }, 'reading the config file again');
      // Not awaited: leaving does not wait for a reload. What became of it is in the log.
      this.actions.reload({ force: false }).catch(() => undefined);
    });
    const quiet = tellRegularly(engine, forwarding, () => macs.current(), this.#log);
    try {
      const ended = engine.finished.then(() => ENGINE_ENDED);
      const why = await Promise.race([stop.first, ended]);
      this.#stoppedBy = why;
      this.#readiness.stops(why);
      this.#log.info({ event: 'stopping', why }, `stopping: ${why}`);
      const delayMs = why === ENGINE_ENDED ? 0 : this.#pools.file.node.stopDelayMs;
      this.#following.stops(why, delayMs, why === LEAVES_AT);
      // The word of it goes out first: ending an engine may take this thread for 30 ms.
      await nextTurn();
      if (delayMs > 0) await lameDuck(delayMs, [stop.second, ended], this.#log);
    } finally {
      quiet();
    }
  }

  /** Ends whatever has started: after SIGTERM the engine forwards on in the kernel when it can. */
  async leave(control: ControlServer): Promise<void> {
    this.#pools.close(); // nothing more is published
    this.#agreed?.close();
    this.#defence.end();
    try {
      if (this.#running !== undefined) await this.#endEngine(this.#running);
    } finally {
      this.#readiness.close();
      this.#running?.rates.close();
      await this.#defence.close();
      await this.#backends.close();
      if (this.#running !== undefined) await this.#host.store.write(this.#pools.pools);
      await Promise.all([control.close(), this.#listener.close()]);
    }
  }

  /** What a change of the pools needs of the rest of the node. */
  #surroundings(): NodeSurroundings {
    const { vipGuard, store } = this.#host;
    const { hops, health, drains } = this.#backends;
    return {
      permit: (config) => {
        store.keys.add(config.node);
        return vipGuard.permit(config);
      },
      reach: (backends) => hops.resolve(backends),
      check: (backends) => health.check(backends),
      why: this.#agreed?.why ?? health.why,
      butWhy: this.#agreed?.butWhy,
      facts: (pool) => this.#backends.facts(pool),
      holds: (pool) => {
        this.#backends.follow(this.#pools); // so that after a restart queued changes wait until agents have answered
        return drains.holds(pool);
      },
      publish: () => this.#publish(),
      formerKey: (id) => store.keys.of(id),
      // Until an engine runs, the kernel may forward by what the process before left there. The memory describes that, and a start
      // that fails must not change it.
      remember: async (pools) => {
        if (this.#running !== undefined) await store.write(pools);
      },
    };
  }

  readonly #changed = (): void => this.#following.changed();

  /** Resolves to undefined, or to why what the pools say is not in force. */
  async #publish(): Promise<unknown> {
    // A backend that begins to drain holds up what is planned next.
    if (this.#backends.follow(this.#pools)) setImmediate(() => this.#pools.marksChanged());
    this.#agentDrains.poolsChanged();
    if (this.#running !== undefined && this.#agreed !== undefined) {
      if (this.#agreed.look()) this.#changed();
      await nextTurn(); // the word goes out first: making an image takes this thread for some time
    }
    return this.#running?.forwarding.refresh();
  }

  async #endEngine({ engine, forwarding }: Running): Promise<void> {
    let goesOn = false;
    try {
      if (this.#stoppedBy === LEAVES_AT) goesOn = await engine.leave();
      else await engine.stop();
    } finally {
      this.#following.left(goesOn);
    }
    await logCounters('counters', engine, forwarding, this.#log);
    if (goesOn) {
      this.#log.info(
        { event: 'left_forwarding', generation: forwarding.image.generation },
        'forwarding goes on in the kernel, by the last image; the next `anyhop run` takes over, `anyhop stop` ends it',
      );
    }
  }

  #status(chosen: ChosenEngine<First>, rates: Rates): Promise<NodeStatus> {
    const { engine, reason, first } = chosen;
    const { forwarding } = first;
    const { hops, paths, health, agents, drains } = this.#backends;
    const { file, pools } = this.#pools;
    return nodeStatus({
      config: file,
      node: this.#options.first.config.node,
      startedAt: this.#startedAt,
      keyFingerprint: keyFingerprint(file.node.key.reveal()),
      engine,
      engineReason: reason,
      forwarding,
      rates,
      nextHop: (address) => paths.status(address, hops.of(address)),
      pathReports: () => paths.counts,
      marks: (pool) => this.#pools.marks(pool),
      checksOf: (pool, backend) => health.checksOf(pool, backend),
      readiness: () => this.#readiness.current(),
      configFile: () => this.actions.configFile,
      fleet: () => this.#options.fleet?.status(),
      discovery: () => this.#options.discovery?.status() ?? [],
      overrides: () => [...overrideStatus(pools), ...editStatus(this.#options.edits?.list ?? [])],
      change: (pool) => changeStatus(pools.get(pool)),
      drain: (pool, backend) => drainStatus(pools.get(pool), backend, drains.status(pool, backend)),
      agent: (address) => agents.status(address),
      defend: () => this.#defence.summary(),
    });
  }
}
