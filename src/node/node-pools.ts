/**
 * The pools of a running node, and the one place that changes them: the file read anew, a word at runtime, a health mark, the
 * clock. Whatever it is, it makes the next membership (pool/membership.ts), has the new members reached and checked first, and
 * is published whole; when that fails the one before stays.
 *
 *   reload, drain, undrain, weight --one at a time--> propose --> next hops, first checks --> take --> publish --> remember
 *   health marks, settle times ------------------------------------------------- at once -----^
 *
 * Health never waits for a planned change: while one is being prepared, marks go on changing what is in force, and the change
 * is taken on top of what is there by then.
 */

import { isDeepStrictEqual } from 'node:util';
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import type { LogFields, Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { SerialQueue } from '../core/serial-queue.js';
import { clockTime } from '../core/time.js';
import type { Hold } from '../pool/change.js';
import { type Effect, effects, type QueuedStep } from '../pool/effects.js';
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
  take,
  takeHolds,
  takeMarks,
} from '../pool/membership.js';
import { type BackendFacts, priorMembers, statesOf } from '../pool/states.js';
import type { Served } from './assemble.js';
import { type HealthMark, healthBy, marksToTell, nextDeadAtMs, type Why } from './marks.js';

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
  /** What is known of a pool's backends beside their marks. */
  facts(pool: string): BackendFacts;
  /** Who of a pool drains and still has connections. */
  holds(pool: string): readonly Hold[];
  /** The pools have changed, or the marks; `config` has what is in force. Publishes it. Resolves to undefined, or to why it is not in force. */
  publish(): Promise<unknown>;
  /** Keeps what is remembered. Resolves when it is kept; a failure is logged and no reason to fail. */
  remember(pools: Membership): Promise<void>;
}

/** What is wanted: what is beside the pools, and what becomes of these. @throws AnyhopError ERR_LIMIT when a queue is full */
export interface ChangeRequest {
  readonly file: LoadedConfig<'run'>;
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

/** Whom a change that is under way prepares for, and the settings of pools as they will be. */
interface Coming {
  readonly marked: readonly NamedBackend[];
  readonly reached: readonly NamedBackend[];
  readonly settings: ReadonlyMap<string, PoolConfig>;
}

const NOTHING_COMING: Coming = { marked: [], reached: [], settings: new Map() };

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
  #coming = NOTHING_COMING;
  #isStarted = false;
  #isClosed = false;

  /** Marks are not known yet: all count as up, but for what is remembered. `start` comes next. */
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
    this.#pools = take(NO_POOLS, file.pools, { force: false, nowMs: now(), ...this.#past });
    this.#recipients = recipientsOf(file, this.#pools);
  }

  /** Whom packets are sent to now; another object after every change. */
  get recipients(): Recipients {
    return this.#recipients;
  }

  /** What packets are to be forwarded by, as it is now. */
  served(): Served & Pick<LoadedConfig<'run'>, 'node'> {
    const { services, node } = this.#file;
    const pools = [...this.#pools].map(([name, { file, changes }]) =>
      statesOf(file, changes, this.#around.facts(name)),
    );
    return { services, node, pools };
  }

  /** The config as it was read. */
  get file(): LoadedConfig<'run'> {
    return this.#file;
  }

  get pools(): Membership {
    return this.#pools;
  }

  /** Of the members of a pool, by name. Before `start` only what is remembered is known. */
  marks(pool: string): ReadonlyMap<string, HealthMark> {
    const known = this.#pools.get(pool);
    if (known === undefined) return new Map();
    const { marks } = (this.#isStarted ? known : this.#past.memory.get(pool))?.changes ?? { marks: [] };
    return marksToTell(known, marks, this.#around.why);
  }

  /** Next hops and first results are there: from now on marks count. */
  start(): void {
    this.#isStarted = true;
    // Anew, since members that the file has and the memory has not take their first marks as they come into force.
    this.#set(take(NO_POOLS, this.#file.pools, { force: false, ...this.#moment(), ...this.#past }));
    void this.#around.remember(this.#pools); // a change of the file while no process runs must find it
    this.marksChanged();
  }

  /** What a request would make of the pools as they are; nothing is changed. @throws AnyhopError ERR_LIMIT when a queue is full */
  preview({ next }: ChangeRequest): Membership {
    return next(this.#pools, { nowMs: this.#now() });
  }

  /**
   * Changes the pools; one after the other.
   * @param request asked for when its turn has come, so that nothing is lost that came before
   * @throws what kept it from being published, or AnyhopError ERR_LIMIT when a queue is full; what was in force stays
   */
  change(request: () => ChangeRequest): Promise<Effect[]> {
    return this.#changes.add(() => this.#change(request()));
  }

  /** Health marks may have changed, or who drains and still has connections. */
  marksChanged(): void {
    if (this.#isClosed) return;
    const before = this.#pools;
    const nowMs = this.#now();
    const held = takeHolds(passTime(before, nowMs), this.#around.holds, nowMs);
    const next = takeMarks(held, healthBy(this.#around.why, nowMs), nowMs);
    if (next !== before) {
      this.#set(next);
      this.#tell(effects(before, next), 'what it waited for is over');
      if (!hasSameBackends(before, next)) this.#follow();
    }
    void this.#around.publish().then((failure) => {
      if (next !== before) void this.#around.remember(this.#pools);
      if (failure !== undefined) this.#tryAgain();
    });
  }

  /** Nothing changes any more. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#retry);
  }

  async #change(request: ChangeRequest): Promise<Effect[]> {
    const proposed = this.preview(request);
    this.#coming = {
      marked: markedBackends(proposed),
      reached: reachedBackends(proposed),
      settings: new Map([...proposed].map(([name, pool]) => [name, pool.file])),
    };
    try {
      await this.#around.permit(request.file);
      await Promise.all([this.#around.reach(this.#reached()), this.#around.check(this.#checked())]);
      if (this.#isClosed) throw new AnyhopError('ERR_STOPPING', 'the node stops; nothing was changed');
      const before = this.#pools;
      const fileBefore = this.#file;
      const next = request.next(before, this.#moment());
      this.#file = withPools(request.file, next);
      this.#set(next); // on top of what marks and time have done meanwhile
      const failure = await this.#around.publish();
      if (failure !== undefined) {
        this.#file = fileBefore;
        this.#set(before);
        this.marksChanged();
        throw failure;
      }
      await this.#around.remember(this.#pools);
      const done = effects(before, this.#pools);
      this.#tell(done, 'the config changed');
      return done;
    } finally {
      this.#coming = NOTHING_COMING;
      this.#follow();
    }
  }

  /** Who is new has been reached and checked. */
  #moment(): Moment {
    const nowMs = this.#now();
    return { nowMs, health: healthBy(this.#around.why, nowMs) };
  }

  #set(pools: Membership): void {
    this.#pools = pools;
    this.#recipients = recipientsOf(this.#file, pools);
    this.#arm();
  }

  /** Sets the timer for the next settle time that ends, and the next backend that is dead. */
  #arm(): void {
    clearTimeout(this.#timer);
    const never = Number.POSITIVE_INFINITY;
    const atMs = Math.min(nextChangeAtMs(this.#pools) ?? never, nextDeadAtMs(this.#pools) ?? never);
    if (atMs === never || this.#isClosed) return;
    const delayMs = Math.min(Math.max(1, Math.ceil(atMs - this.#now())), TIMER_MS_MAX);
    this.#timer = setTimeout(() => {
      this.marksChanged();
      this.#arm(); // it may have come a little early, or only for the timer's longest time
    }, delayMs).unref();
  }

  /** Reaches and checks whom there is now, and whom a change prepares for, and looks at their marks. */
  #follow(): void {
    if (this.#isClosed) return;
    const failed = (error: unknown): void =>
      this.#log.error(
        { event: 'follow_failed', error },
        `backends can no longer be followed as they should: ${reasonOf(error)}`,
      );
    this.#around.reach(this.#reached()).catch(failed);
    this.#around.check(this.#checked()).catch(failed);
    setImmediate(() => this.marksChanged());
  }

  #reached(): NamedBackend[] {
    return [...reachedBackends(this.#pools), ...this.#coming.reached];
  }

  /**
   * Everybody as they will be checked, so that a check that this host cannot make keeps the change from being taken. A check that the
   * change ends goes on until then: without a result its backends count as down.
   */
  #checked(): NamedBackend[] {
    const { settings, marked } = this.#coming;
    const current = markedBackends(this.#pools).map(({ pool, backend }) => {
      const coming = settings.get(pool.name);
      return { pool: coming?.health === undefined ? pool : coming, backend };
    });
    return firstOfName([...current, ...marked]);
  }

  #tryAgain(): void {
    clearTimeout(this.#retry);
    if (!this.#isClosed) this.#retry = setTimeout(() => this.marksChanged(), RETRY_MS).unref();
  }

  #tell(list: readonly Effect[], why: string): void {
    for (const { pool, effect, changes, step, takenBack } of list) {
      const fields = { event: 'pool_change', pool, effect, changes } as const;
      const what = changes.join('; ');
      if (effect === 'in_force') this.#log.info(fields, `pool ${pool}: ${what} (${why})`);
      else if (effect === 'queued') this.#tellQueued(fields, what, step!);
      else if (effect !== 'unchanged') this.#log.info(fields, `pool ${pool} ${effect}`);
      for (const { id, changes } of takenBack)
        this.#log.info(
          { event: 'change_taken_back', pool, id, changes },
          `pool ${pool}: no longer waits: ${changes.join('; ')}`,
        );
    }
  }

  #tellQueued(fields: LogFields & { readonly pool: string }, what: string, step: QueuedStep): void {
    const { id, dueAtMs, waitsFor } = step;
    const dueAt = new Date(dueAtMs).toISOString();
    const drains = waitsFor.length === 0 ? '' : ` at the latest, for ${waitsFor.join(', ')} to be drained`;
    this.#log.info(
      { ...fields, id, dueAt, waitsFor },
      `pool ${fields.pool}: ${what}, waits until ${clockTime(dueAt)}${drains} (${id})`,
    );
  }
}

/** A queued change that is taken back makes a pool go by its file without it. */
function withPools(file: LoadedConfig<'run'>, pools: Membership): LoadedConfig<'run'> {
  return { ...file, pools: file.pools.map((pool): PoolConfig => pools.get(pool.name)?.file ?? pool) };
}

function recipientsOf({ services }: LoadedConfig<'run'>, membership: Membership): Recipients {
  const pools = [...membership].map(([name, { changes }]) => {
    return { name, backends: changes.members, prior: priorMembers(changes) };
  });
  return { services, pools };
}

/** Members of one name have one mark: that of the one in force. */
function firstOfName(backends: readonly NamedBackend[]): NamedBackend[] {
  const byName = new Map<string, NamedBackend>();
  for (const each of backends) {
    const name = `${each.pool.name}/${each.backend.name}`;
    if (!byName.has(name)) byName.set(name, each);
  }
  return [...byName.values()];
}

function hasSameBackends(some: Membership, others: Membership): boolean {
  const isUntouched = [...others].every(([name, { changes }]) => {
    const other = some.get(name)?.changes;
    return (
      other?.members === changes.members &&
      other.queue === changes.queue &&
      other.override === changes.override &&
      isDeepStrictEqual(other.past, changes.past)
    );
  });
  const text = (pools: Membership): string =>
    [...markedBackends(pools), ...reachedBackends(pools)]
      .map(({ pool, backend }) => `${pool.name}/${backend.name} ${backend.address.text}`)
      .join();
  return isUntouched || text(some) === text(others);
}
