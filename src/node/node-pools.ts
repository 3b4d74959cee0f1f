/**
 * The pools of a running node, and the one place that changes them. A change comes from the file, a command, a health mark or the clock.
 * Each makes the next membership (pool/membership.ts), which is published whole. If that fails, the one before stays in force.
 * New members are reached and checked before they come into force.
 *
 *   reload, drain, undrain, weight --one at a time--> propose --> next hops, first checks --> take --> publish --> remember
 *   health marks, settle times ------------------------------------------------- at once -----^
 *
 * Health never waits for a planned change. While one is being prepared, marks go on changing what is in force, and the change is
 * made of what is in force by then. While an image is being published, which may take seconds, all that comes waits for the next image,
 * and no time passes: a change counts from the moment when its image is in force (pool/come-later.ts).
 */
import { keyFingerprint } from '../config/key-fingerprint.js';
import type { Secret } from '../config/secret.js';
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { SerialQueue } from '../core/serial-queue.js';
import { formatDuration } from '../core/time.js';
import type { PoolChanges } from '../pool/change.js';
import { comeLater } from '../pool/come-later.js';
import { type Effect, effects } from '../pool/effects.js';
import type { Recipients } from '../pool/least-mtu.js';
import {
  type Membership,
  type Moment,
  markedBackends,
  type NamedBackend,
  NO_POOLS,
  nextChangeAtMs,
  type PoolMemory,
  passTime,
  reachedBackends,
  type StandingOf,
  type TakeOptions,
  take,
  takeHolds,
  takeMarks,
} from '../pool/membership.js';
import type { Hold } from '../pool/open-changes.js';
import { type BackendFacts, formerMembers, statesOf } from '../pool/states.js';
import type { Served } from './assemble.js';
import { type HealthMark, marksToTell, nextDeadAtMs, standingBy, type Why } from './marks.js';
import { logEffects, logFullMemory } from './node-log.js';

/** What a change needs of the rest of the node. */
export interface NodeSurroundings {
  /** Resolves when this host may run such a config, as it is now. */
  permit(config: LoadedConfig<'run'>): Promise<void>;
  /** Resolves once each of these has a next hop, or definitely none; they are followed from then on, and no others. */
  reach(backends: readonly NamedBackend[]): Promise<void>;
  /** Resolves once each of these has a first result; they are checked from then on, and no others. */
  check(backends: readonly NamedBackend[]): Promise<void>;
  /** By what is known now of a backend that is reached and checked. */
  readonly why: Why;
  /** What is wrong with one that is up all the same, because the nodes of its fleet have agreed so. */
  readonly butWhy?: Why | undefined;
  /** What is known of a pool's backends beside their marks. */
  facts(pool: string): BackendFacts;
  /** Who of a pool drains and still has connections. */
  holds(pool: string): readonly Hold[];
  /** Publishes what `served` has now. Resolves to undefined, or to why it is not in force. */
  publish(): Promise<unknown>;
  /** A secret that flows were hashed with before, by its fingerprint. */
  formerKey(id: string): Secret | undefined;
  /** Keeps what is remembered. Resolves when it is kept; a failure is logged and no reason to fail. */
  remember(pools: Membership): Promise<void>;
}

/** A change that is asked for: the file, and what becomes of the pools. `next` throws AnyhopError ERR_LIMIT when a queue is full. */
export interface ChangeRequest {
  readonly file: LoadedConfig<'run'>;
  /** Why, for the log; `the config changed` when left out. */
  readonly why?: string;
  readonly next: (before: Membership, at: Moment) => Membership;
}

export interface NodePoolsOptions {
  readonly file: LoadedConfig<'run'>;
  readonly memory: ReadonlyMap<string, PoolMemory>;
  /** Pools that have another name than in `memory`, by the new one. */
  readonly renamed?: ReadonlyMap<string, string>;
  readonly surroundings: NodeSurroundings;
  readonly log: Logger;
  /** Milliseconds, as in pool/change.ts. */
  readonly now?: () => number;
}

/** A timer's longest time: beyond it, Node's fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;
/** When to try again what could not be published. */
const RETRY_MS = 5_000;
/** When to try again to follow backends: at first, and after many failures. */
const [FOLLOW_AGAIN_MS, FOLLOW_AGAIN_MS_MAX] = [1_000, 64_000];

export class NodePools {
  readonly #around: NodeSurroundings;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #past: {
    readonly memory: ReadonlyMap<string, PoolMemory>;
    readonly renamed: ReadonlyMap<string, string>;
  };
  #file: LoadedConfig<'run'>;
  #pools: Membership;
  #recipients: Recipients;
  #timer: NodeJS.Timeout | undefined;
  readonly #changes = new SerialQueue();
  #retry: NodeJS.Timeout | undefined;
  #followAgain: NodeJS.Timeout | undefined;
  #followDelayMs = FOLLOW_AGAIN_MS;
  /** What the change that is under way makes of the pools. */
  #coming = NO_POOLS;
  /** What a change makes of them that is ready to come, and may not. */
  #prepared = NO_POOLS;
  /** Since when the pools are others than the image in force says; undefined when they are not. */
  #aheadSinceMs: number | undefined;
  #publishing: Promise<unknown> | undefined;
  /** Something may have changed while an image was being published. */
  #isDue = false;
  /** As they were kept last. */
  #kept = NO_POOLS;
  #isStarted = false;
  #isForwarding = false;
  #isClosed = false;

  /** Until `start` nothing is checked: members have the marks that are remembered, and all others count as up. */
  constructor({
    file,
    memory,
    renamed = new Map(),
    surroundings,
    log,
    now = () => performance.timeOrigin + performance.now(),
  }: NodePoolsOptions) {
    this.#around = surroundings;
    this.#log = log;
    this.#now = now;
    this.#past = { memory, renamed };
    this.#file = file;
    this.#pools = take(NO_POOLS, file.pools, { force: false, nowMs: now(), ...this.#begin() });
    this.#recipients = recipientsOf(file, this.#pools);
  }

  /** Whom packets are sent to now; another object after every change. */
  get recipients(): Recipients {
    return this.#recipients;
  }

  /** What packets are to be forwarded by, as it is now. */
  served(): Served & Pick<LoadedConfig<'run'>, 'node'> {
    const { services, node, defend } = this.#file;
    const pools = [...this.#pools].map(([name, { file, changes }]) =>
      statesOf(file, changes, this.#around.facts(name)),
    );
    return { services, node, pools, defend, formerKey: (id) => this.#around.formerKey(id) };
  }

  /** The config as it was read. */
  get file(): LoadedConfig<'run'> {
    return this.#file;
  }

  /** What is not in force yet comes into force now, as far as anybody can say. */
  get pools(): Membership {
    return this.#asOf(this.#now());
  }

  /** Of the members of a pool, by name. Before `start` only what is remembered is known. */
  marks(pool: string): ReadonlyMap<string, HealthMark> {
    const known = this.#pools.get(pool);
    if (known === undefined) return new Map();
    const { marks } = (this.#isStarted ? known : this.#past.memory.get(pool))?.changes ?? { marks: [] };
    return marksToTell(known, marks, this.#around.why, this.#around.butWhy);
  }

  /** Call it when every member has a next hop, or none, and its first result. From then on marks follow what is known. */
  start(): void {
    this.#isStarted = true;
    const moment = this.#moment();
    this.#aheadSinceMs ??= moment.nowMs;
    // Anew: a member that is not in the memory gets its first mark when it comes into force.
    this.#set(take(NO_POOLS, this.#file.pools, { force: false, ...moment, ...this.#begin() }));
    this.marksChanged();
  }

  /** Call it when the engine forwards: from now on what is published is in force. */
  forwards(): void {
    this.#isForwarding = true;
    this.marksChanged();
  }

  /** What a request would make of the pools as they are; nothing is changed. @throws AnyhopError ERR_LIMIT when a queue is full */
  preview({ next }: ChangeRequest): Membership {
    const nowMs = this.#now();
    return next(this.#asOf(nowMs), { nowMs });
  }

  /**
   * Changes the pools; one after the other.
   * @param request called when its turn has come, so that it builds on the changes before it
   * @throws what kept it from being published, or AnyhopError ERR_LIMIT when a queue is full; what was in force stays
   */
  change(request: () => ChangeRequest): Promise<Effect[]> {
    return this.#changes.add(() => this.#change(request()));
  }

  /**
   * Makes ready what a change needs of the rest of the node: next hops and first checks of its new members, which go on until the change
   * comes, or `release`.
   * @returns what it would do if it came now
   * @throws as `change` does
   */
  prepare(request: () => ChangeRequest): Promise<Effect[]> {
    return this.#changes.add(async () => {
      const asked = request();
      this.#prepared = this.preview(asked);
      await this.#around.permit(asked.file);
      await Promise.all([this.#around.reach(this.#reached()), this.#around.check(this.#checked())]);
      return effects(this.pools, this.preview(asked));
    });
  }

  /** What was prepared does not come, or has come. */
  release(): void {
    this.#prepared = NO_POOLS;
    void this.#follow();
  }

  /** Health marks may have changed, or who drains and still has connections. */
  marksChanged(): void {
    if (this.#isClosed) return;
    if (this.#publishing !== undefined) {
      this.#isDue = true;
      return;
    }
    const nowMs = this.#now();
    const before = this.#asOf(nowMs);
    const held = takeHolds(passTime(before, nowMs), this.#around.holds, nowMs);
    const next = takeMarks(held, this.#standing(nowMs), nowMs);
    if (next !== before) {
      this.#aheadSinceMs ??= nowMs;
      this.#set(next);
      logEffects(effects(before, next), 'what it waited for is over', this.#log);
      logFullMemory(before, next, this.#log);
      if (!hasSameBackends(before, next)) void this.#follow();
    }
    void this.#publish().then((failure) => {
      if (failure !== undefined) this.#tryAgain();
      else if (this.#pools !== this.#kept) void this.#remember();
    });
  }

  /** Ends all changes. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
    clearTimeout(this.#followAgain);
  }

  async #change(request: ChangeRequest): Promise<Effect[]> {
    this.#coming = this.preview(request);
    try {
      await this.#around.permit(request.file);
      await Promise.all([this.#around.reach(this.#reached()), this.#around.check(this.#checked())]);
      if (this.#isClosed) throw new AnyhopError('ERR_STOPPING', 'the node stops; nothing was changed');
      await this.#publishing; // and then what is published next is this change alone
      const [before, fileBefore, aheadSinceMs] = [this.#pools, this.#file, this.#aheadSinceMs];
      const moment = this.#moment();
      const next = request.next(this.#asOf(moment.nowMs), moment);
      this.#aheadSinceMs ??= moment.nowMs;
      this.#file = withPools(request.file, next);
      this.#set(next);
      const failure = await this.#publish();
      if (failure !== undefined) {
        this.#file = fileBefore;
        this.#aheadSinceMs = aheadSinceMs;
        this.#set(before);
        this.marksChanged();
        throw failure;
      }
      await this.#remember();
      const done = effects(before, this.#pools);
      logEffects(done, request.why ?? 'the config changed', this.#log);
      logFullMemory(before, this.#pools, this.#log);
      return done;
    } finally {
      this.#coming = NO_POOLS;
      void this.#follow();
    }
  }

  /** Nothing else becomes of the pools until it is in force. @returns why it is not */
  async #publish(): Promise<unknown> {
    try {
      this.#publishing = this.#around.publish();
      const failure = await this.#publishing;
      if (failure === undefined && this.#isForwarding && this.#aheadSinceMs !== undefined) {
        this.#set(this.#asOf(this.#now()));
        this.#aheadSinceMs = undefined;
      }
      return failure;
    } finally {
      this.#publishing = undefined;
      if (this.#isDue) setImmediate(() => this.marksChanged());
      else this.#arm(); // the timer may have been a little early, or at its longest time
      this.#isDue = false;
    }
  }

  async #remember(): Promise<void> {
    this.#kept = this.#pools;
    await this.#around.remember(this.#pools);
  }

  /** The pools, in which all that is not in force yet comes now. */
  #asOf(nowMs: number): Membership {
    return this.#aheadSinceMs === undefined ? this.#pools : comeLater(this.#pools, this.#aheadSinceMs, nowMs);
  }

  /** For a change whose new members have been reached and checked. */
  #moment(): Moment {
    const nowMs = this.#now();
    return { nowMs, standing: this.#standing(nowMs) };
  }

  #standing(nowMs: number): StandingOf {
    const facts = new Map<string, BackendFacts>();
    const factsOf = (pool: string): BackendFacts => {
      const known = facts.get(pool) ?? this.#around.facts(pool);
      facts.set(pool, known);
      return known;
    };
    return standingBy(this.#around.why, ({ name }, backend) => factsOf(name).isReachable(backend), nowMs);
  }

  /** What a process begins with: what is remembered, under the key that there is now. */
  #begin(): Pick<TakeOptions, 'memory' | 'renamed' | 'keyId'> {
    return { ...this.#past, keyId: keyFingerprint(this.#file.node.key.reveal()) };
  }

  #set(pools: Membership): void {
    this.#pools = pools;
    this.#recipients = recipientsOf(this.#file, pools);
    this.#arm();
  }

  /** Sets the timer for whatever time brings next: the end of a settle time, or a backend that has been down for `dead_after`. */
  #arm(): void {
    clearTimeout(this.#timer);
    const never = Number.POSITIVE_INFINITY;
    const nowMs = this.#now();
    const pools = this.#asOf(nowMs);
    const atMs = Math.min(nextChangeAtMs(pools) ?? never, nextDeadAtMs(pools) ?? never);
    if (atMs === never || this.#isClosed) return;
    const delayMs = Math.min(Math.max(1, Math.ceil(atMs - nowMs)), TIMER_MS_MAX);
    this.#timer = setTimeout(() => this.marksChanged(), delayMs).unref();
  }

  /**
   * Reaches and checks the members that there are, and those of the change that is under way, and looks at their marks. If that fails,
   * for want of descriptors say, it is tried again, later and later.
   */
  async #follow(): Promise<void> {
    if (this.#isClosed) return;
    clearTimeout(this.#followAgain);
    setImmediate(() => this.marksChanged());
    try {
      await Promise.all([this.#around.reach(this.#reached()), this.#around.check(this.#checked())]);
      this.#followDelayMs = FOLLOW_AGAIN_MS;
    } catch (error) {
      if (this.#isClosed) return;
      const delayMs = this.#followDelayMs;
      this.#log.error(
        { event: 'follow_failed', error },
        `backends can no longer be followed as they should: ${reasonOf(error)}; tried again in ${formatDuration(delayMs)}`,
      );
      clearTimeout(this.#followAgain);
      this.#followAgain = setTimeout(() => void this.#follow(), delayMs).unref();
      this.#followDelayMs = Math.min(2 * delayMs, FOLLOW_AGAIN_MS_MAX);
    }
  }

  #reached(): NamedBackend[] {
    return [this.#pools, this.#coming, this.#prepared].flatMap((pools) => [...reachedBackends(pools)]);
  }

  /**
   * All members by the checks that they will have, so that a check that this host cannot make prevents the change. A check that the
   * change ends goes on until the change is in force, because backends without a result count as down.
   */
  #checked(): NamedBackend[] {
    const current = markedBackends(this.#pools).map(({ pool, backend }) => {
      const coming = (this.#coming.get(pool.name) ?? this.#prepared.get(pool.name))?.file;
      return { pool: coming === undefined || coming.health.length === 0 ? pool : coming, backend };
    });
    const all = [...markedBackends(this.#prepared), ...markedBackends(this.#coming), ...current];
    // Of two with one name, the map keeps the later one: the one in force.
    return [...new Map(all.map((each) => [`${each.pool.name}/${each.backend.name}`, each])).values()];
  }

  #tryAgain(): void {
    clearTimeout(this.#retry);
    if (!this.#isClosed) this.#retry = setTimeout(() => this.marksChanged(), RETRY_MS).unref();
  }
}

/** When a queued change is taken back, the pool's file no longer has it. */
function withPools(file: LoadedConfig<'run'>, pools: Membership): LoadedConfig<'run'> {
  return { ...file, pools: file.pools.map((pool): PoolConfig => pools.get(pool.name)?.file ?? pool) };
}

function recipientsOf({ services }: LoadedConfig<'run'>, membership: Membership): Recipients {
  const pools = [...membership].map(([name, { changes }]) => {
    return { name, backends: changes.members, prior: formerMembers(changes) };
  });
  return { services, pools };
}

function hasSameBackends(some: Membership, others: Membership): boolean {
  const isUntouched = [...others].every(([name, { changes }]) => {
    const other = some.get(name)?.changes;
    if (other === undefined || other.override !== changes.override) return false;
    const [was, is] = [listsOf(other), listsOf(changes)];
    return was.size === is.size && [...is].every((list) => was.has(list));
  });
  const text = (pools: Membership): string =>
    [...markedBackends(pools), ...reachedBackends(pools)]
      .map(({ pool, backend }) => `${pool.name}/${backend.name} ${backend.address.text}`)
      .join();
  return (isUntouched && some.size === others.size) || text(some) === text(others);
}

/** The same lists for as long as nothing is planned, whatever health does. */
function listsOf({
  members,
  queue,
  remembered,
  formerKey,
}: PoolChanges): ReadonlySet<PoolChanges['members']> {
  return new Set([
    members,
    ...[...queue, ...remembered, ...(formerKey?.states ?? [])].map((one) => one.members),
  ]);
}
