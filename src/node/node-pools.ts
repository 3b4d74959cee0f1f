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
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { SerialQueue } from '../core/serial-queue.js';
import { comeLater } from '../pool/come-later.js';
import { type Effect, effects } from '../pool/effects.js';
import type { Recipients } from '../pool/least-mtu.js';
import {
  type Membership,
  type Moment,
  NO_POOLS,
  nextChangeAtMs,
  type PoolMemory,
  passTime,
  type StandingOf,
  type TakeOptions,
  take,
  takeHolds,
  takeMarks,
} from '../pool/membership.js';
import { type BackendFacts, statesOf } from '../pool/states.js';
import type { Served } from './assemble.js';
import { type HealthMark, marksToTell, nextDeadAtMs, standingBy } from './marks.js';
import { MemberFollowing } from './member-following.js';
import { logEffects, logFullMemory } from './node-log.js';
import { hasSameBackends, recipientsOf, withPools } from './pool-lists.js';
import type { ChangeRequest, NodeSurroundings } from './surroundings.js';

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
  readonly #following: MemberFollowing;
  #retry: NodeJS.Timeout | undefined;
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
    this.#following = new MemberFollowing({
      around: surroundings,
      members: () => ({ inForce: this.#pools, coming: this.#coming, prepared: this.#prepared }),
      log,
    });
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
      await this.#following.all();
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
    this.#following.close();
  }

  async #change(request: ChangeRequest): Promise<Effect[]> {
    this.#coming = this.preview(request);
    try {
      await this.#around.permit(request.file);
      await this.#following.all();
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

  /** Reaches and checks all members, and looks at their marks. */
  async #follow(): Promise<void> {
    if (this.#isClosed) return;
    setImmediate(() => this.marksChanged());
    await this.#following.follow();
  }

  #tryAgain(): void {
    clearTimeout(this.#retry);
    if (!this.#isClosed) this.#retry = setTimeout(() => this.marksChanged(), RETRY_MS).unref();
  }
}
