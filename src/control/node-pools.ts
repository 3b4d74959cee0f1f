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
import type { LoadedConfig, PoolConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import {
  type Effect,
  effects,
  type Membership,
  markedBackends,
  type NamedBackend,
  NO_POOLS,
  nextChangeAtMs,
  type PoolMemory,
  passTime,
  reachedBackends,
  take,
  takeMarks,
} from '../pool/membership.js';
import type { Override } from '../pool/override.js';
import type { Health } from '../pool/state.js';

/** What a change needs of the rest of the node. */
export interface NodeSurroundings {
  /** Resolves once each of these has a next hop, or definitely none; they are followed from then on, and no others. */
  reach(backends: readonly NamedBackend[]): Promise<void>;
  /** Resolves once each of these has a first result; they are checked from then on, and no others. */
  check(backends: readonly NamedBackend[]): Promise<void>;
  /** From now on these have marks, at once, and no others. */
  judge(backends: readonly NamedBackend[]): void;
  health(pool: string, backend: string): Health | undefined;
  /** The pools have changed, or the marks; `config` has what is in force. Publishes it. Resolves to undefined, or to why it is not in force. */
  publish(): Promise<unknown>;
  /** Keeps what is remembered. Resolves when it is kept; a failure is logged and no reason to fail. */
  remember(pools: Membership): Promise<void>;
}

/** What is wanted: a file, and what lies over it. */
export interface ChangeRequest {
  readonly file: LoadedConfig<'run'>;
  /** By pool; those that are there when not given, or undefined. */
  readonly overrides?: (pool: string) => readonly Override[] | undefined;
}

export interface NodePoolsOptions {
  readonly file: LoadedConfig<'run'>;
  readonly memory: ReadonlyMap<string, PoolMemory>;
  readonly surroundings: NodeSurroundings;
  readonly log: Logger;
  /** Milliseconds, as in pool/change.ts. */
  readonly now?: () => number;
}

/** A timer's longest time: beyond it, Node's fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export class NodePools {
  readonly #around: NodeSurroundings;
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #memory: ReadonlyMap<string, PoolMemory>;
  #file: LoadedConfig<'run'>;
  #pools: Membership;
  #config: LoadedConfig<'run'>;
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /** Marks are not known yet: all count as up, but for what is remembered. `start` comes next. */
  constructor({
    file,
    memory,
    surroundings,
    log,
    now = () => performance.timeOrigin + performance.now(),
  }: NodePoolsOptions) {
    this.#around = surroundings;
    this.#log = log;
    this.#now = now;
    this.#memory = memory;
    this.#file = file;
    this.#pools = take(NO_POOLS, file.pools, { force: false, nowMs: now(), memory });
    this.#config = configOf(file, this.#pools);
  }

  /** The config with the pools as they are in force. */
  get config(): LoadedConfig<'run'> {
    return this.#config;
  }

  /** The config as it was read. */
  get file(): LoadedConfig<'run'> {
    return this.#file;
  }

  get pools(): Membership {
    return this.#pools;
  }

  /** Next hops and first results are there: from now on marks count. */
  start(): void {
    // Anew, since members that the file has and the memory has not take their first marks as they come into force.
    const { force, nowMs } = { force: false, nowMs: this.#now() };
    const health = this.#around.health;
    this.#set(take(NO_POOLS, this.#file.pools, { force, nowMs, health, memory: this.#memory }));
    void this.#around.remember(this.#pools); // a change of the file while no process runs must find it
    this.marksChanged();
  }

  /** What a request would make of the pools as they are; nothing is changed. @throws AnyhopError ERR_LIMIT when a queue is full */
  preview({ file, overrides }: ChangeRequest, force: boolean): Membership {
    const { health } = this.#around;
    return take(this.#pools, file.pools, { force, nowMs: this.#now(), health }, overrides);
  }

  /**
   * Changes the pools; one after the other.
   * @param request asked for when its turn has come, so that nothing is lost that came before
   * @throws what kept it from being published, or AnyhopError ERR_LIMIT when a queue is full; what was in force stays
   */
  change(request: () => ChangeRequest, force: boolean): Promise<Effect[]> {
    const done = this.#turn.then(() => this.#change(request(), force));
    this.#turn = done.catch(() => undefined); // the caller is told
    return done;
  }

  /** Health marks may have changed. */
  marksChanged(): void {
    const next = takeMarks(passTime(this.#pools, this.#now()), this.#around.health, this.#now());
    if (next !== this.#pools) {
      const before = this.#pools;
      this.#set(next);
      this.#tell(effects(before, next), 'the change before it has settled');
      this.#follow(before);
      void this.#around.remember(next);
    }
    void this.#around.publish();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #change(request: ChangeRequest, force: boolean): Promise<Effect[]> {
    const proposed = this.preview(request, force);
    const marked = firstOfName([...markedBackends(this.#pools), ...markedBackends(proposed)]);
    try {
      await Promise.all([
        this.#around.reach([...reachedBackends(this.#pools), ...reachedBackends(proposed)]),
        this.#around.check(marked),
      ]);
      this.#around.judge(marked);
      const before = this.#pools;
      const fileBefore = this.#file;
      this.#file = request.file;
      this.#set(this.preview(request, force)); // on top of what marks and time have done meanwhile
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
      this.#follow(undefined);
    }
  }

  #set(pools: Membership): void {
    this.#pools = pools;
    this.#config = configOf(this.#file, pools);
    this.#arm();
  }

  /** Sets the timer for the next settle time that ends. */
  #arm(): void {
    clearTimeout(this.#timer);
    const atMs = nextChangeAtMs(this.#pools);
    if (atMs === undefined || this.#isClosed) return;
    const delayMs = Math.min(Math.max(1, Math.ceil(atMs - this.#now())), TIMER_MS_MAX);
    this.#timer = setTimeout(() => {
      this.marksChanged();
      this.#arm(); // it may have come a little early, or only for the timer's longest time
    }, delayMs).unref();
  }

  /** Reaches, checks and marks whom there is now. @param before nothing is done when it had the same backends */
  #follow(before: Membership | undefined): void {
    if (before !== undefined && hasSameBackends(before, this.#pools)) return;
    const [marked, reached] = [markedBackends(this.#pools), reachedBackends(this.#pools)];
    const failed = (error: unknown): void =>
      this.#log.error({ event: 'follow_failed', error }, 'backends can no longer be followed as they should');
    this.#around.reach(reached).catch(failed);
    this.#around.check(marked).catch(failed);
    this.#around.judge(marked);
  }

  #tell(list: readonly Effect[], why: string): void {
    for (const { pool, effect, changes, dueAtMs } of list) {
      if (effect === 'unchanged') continue;
      const fields = { event: 'pool_change', pool, effect, changes };
      const what = changes.join('; ');
      if (effect === 'in_force') this.#log.info(fields, `pool ${pool}: ${what} (${why})`);
      else if (effect === 'queued') {
        const dueAt = new Date(dueAtMs!).toISOString();
        this.#log.info({ ...fields, dueAt }, `pool ${pool}: ${what}, waits until ${dueAt}`);
      } else this.#log.info(fields, `pool ${pool} ${effect}`);
    }
  }
}

function configOf(file: LoadedConfig<'run'>, pools: Membership): LoadedConfig<'run'> {
  return { ...file, pools: file.pools.map(({ name }): PoolConfig => pools.get(name)!.inForce) };
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
  const isUntouched = [...others].every(([name, { inForce, changes }]) => {
    const other = some.get(name);
    return other?.inForce === inForce && other.changes.queue === changes.queue;
  });
  const text = (pools: Membership): string =>
    [...markedBackends(pools), ...reachedBackends(pools)]
      .map(({ pool, backend }) => `${pool.name}/${backend.name} ${backend.address.text}`)
      .join();
  return isUntouched || text(some) === text(others);
}
