/**
 * How far drains have come. The agent's report says how many connections a draining backend still has to the services of its pool. The
 * drain is done when none is left, or at the pool's deadline. A backend that has none left is no longer a candidate
 * (Member.drained), so that the alternates of its slots can be others.
 *
 * Only TCP has connections to count, and only agents count them: without either a drain is done at its deadline.
 */
import type { DrainStatus } from '../api/status.js';
import type { ServiceConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { drainsSinceMs, type Membership } from '../pool/membership.js';
import type { Hold } from '../pool/open-changes.js';

/** TCP connections by the service's name. */
export type CountConnections = (address: string) => Promise<ReadonlyMap<string, number>>;

export interface DrainsOptions {
  readonly count: CountConnections;
  readonly log: Logger;
  /** Milliseconds, as in pool/change.ts. */
  readonly now: () => number;
}

const POLL_MS = 2_000;
/**
 * No connection is left when two answers so far apart say so. An agent's count can be a second old (agent/tcp-connections.ts), from
 * before the tables by which the backend drains.
 */
const CONFIRM_MS = 1_500;

interface Drain {
  readonly pool: string;
  readonly backend: string;
  readonly address: string;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  /** Why nobody can count its connections; undefined when its agent can. */
  readonly uncounted: string | undefined;
  /** Names of the pool's services over TCP. */
  readonly services: readonly string[];
  /** Second chance keeps its connections, so planned changes wait for it. */
  readonly isKept: boolean;
  /** The same object for as long as it drains. */
  readonly progress: Progress;
}

interface Progress {
  /** Undefined before the first answer. */
  answer: { readonly connections: number } | { readonly failure: string } | undefined;
  /** Since when all answers say that none is left: the time of the first question. */
  noneSinceMs: number | undefined;
  /** None is left: confirmed. */
  isEmpty: boolean;
  isTold: boolean;
}

export class Drains {
  readonly #options: DrainsOptions;
  #changed = (): void => {};
  #drains = new Map<string, Drain>();
  #timer: NodeJS.Timeout | undefined;
  readonly #polls = new Rerun(() => this.#poll());

  constructor(options: DrainsOptions) {
    this.#options = options;
  }

  /** Calls `listener` when another set of backends has no connection left. */
  onChange(listener: () => void): void {
    this.#changed = listener;
  }

  /** What is in force now. Whoever begins to drain is asked at once. */
  follow(pools: Membership, services: readonly ServiceConfig[]): void {
    const before = this.#drains;
    this.#drains = new Map(
      drainsOf(pools, services).map((drain) => {
        const key = `${drain.pool}/${drain.backend}`;
        const known = before.get(key);
        const isKnown = known?.sinceMs === drain.sinceMs && known.address === drain.address;
        return [key, isKnown ? { ...drain, progress: known.progress } : drain];
      }),
    );
    if (this.#drains.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer ??= setInterval(() => void this.poll(), POLL_MS).unref();
    const isUnasked = ({ uncounted, progress }: Drain): boolean =>
      uncounted === undefined && progress.answer === undefined;
    if ([...this.#drains.values()].some(isUnasked)) void this.poll();
  }

  /** Undefined for a backend that does not drain. */
  status(pool: string, backend: string): Omit<DrainStatus, 'askedBy'> | undefined {
    const drain = this.#drains.get(`${pool}/${backend}`);
    if (drain === undefined) return undefined;
    const { sinceMs, deadlineMs } = drain;
    const { answer } = drain.progress;
    const isCounted = answer !== undefined && 'connections' in answer;
    return {
      since: new Date(sinceMs).toISOString(),
      deadline: new Date(deadlineMs).toISOString(),
      connections: isCounted ? answer.connections : null,
      ...(!isCounted && { unknown: drain.uncounted ?? answer?.failure ?? 'its agent has not answered yet' }),
      done: this.#isDone(drain),
    };
  }

  /** Whether a backend that drains has no connection left. */
  isDrained(pool: string, backend: string): boolean {
    return this.#drains.get(`${pool}/${backend}`)?.progress.isEmpty === true;
  }

  /** Who of a pool drains and still has connections, as far as is known. */
  holds(pool: string): Hold[] {
    return [...this.#drains.values()].flatMap((drain) =>
      drain.pool === pool && drain.isKept && !drain.progress.isEmpty
        ? [{ name: drain.backend, untilMs: drain.deadlineMs }]
        : [],
    );
  }

  /** Asks every draining backend once. Resolves when all have answered or failed to. */
  poll(): Promise<void> {
    return this.#polls.ask();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#drains.clear();
  }

  async #poll(): Promise<void> {
    const counted = [...this.#drains.values()].filter(({ uncounted }) => uncounted === undefined);
    const byAddress = new Map<string, Drain[]>();
    for (const drain of counted)
      byAddress.set(drain.address, [...(byAddress.get(drain.address) ?? []), drain]);
    const askedMs = this.#options.now();
    await Promise.all(
      [...byAddress].map(async ([address, drains]) => {
        try {
          const connections = await this.#options.count(address);
          for (const drain of drains) drain.progress.answer = answerFor(drain, connections);
        } catch (error) {
          const failure = reasonOf(error);
          for (const { progress } of drains) progress.answer = { failure };
        }
      }),
    );
    let hasChanged = false;
    for (const drain of this.#drains.values()) {
      hasChanged = conclude(drain.progress, askedMs) || hasChanged;
      if (this.#isDone(drain)) this.#tell(drain);
    }
    if (hasChanged) this.#changed();
  }

  #isDone({ deadlineMs, progress }: Drain): boolean {
    return this.#options.now() >= deadlineMs || progress.isEmpty;
  }

  /** Once a drain. */
  #tell(drain: Drain): void {
    const { pool, backend, uncounted, progress } = drain;
    if (progress.isTold) return;
    progress.isTold = true;
    const { answer } = progress;
    const fields = { event: 'drained', pool, backend } as const;
    if (answer !== undefined && 'connections' in answer) {
      const { connections } = answer;
      const text = `${pool}/${backend} is drained`;
      if (connections === 0)
        this.#options.log.info({ ...fields, connections }, `${text}: no connection is left`);
      else
        this.#options.log.warn(
          { ...fields, connections },
          `${text} by its deadline: ${connections} connections are left`,
        );
    } else {
      const why = uncounted ?? answer?.failure;
      this.#options.log.warn({ ...fields, why }, `${pool}/${backend} is drained by its deadline: ${why}`);
    }
  }
}

/** An agent names every service that it knows: a service that it does not name may have connections all the same. */
function answerFor({ services }: Drain, connections: ReadonlyMap<string, number>): Progress['answer'] {
  let sum = 0;
  for (const name of services) {
    const count = connections.get(name);
    if (count === undefined) {
      return { failure: `its agent does not know the service ${name}: it has another config, reload it` };
    }
    sum += count;
  }
  return { connections: sum };
}

/** What the last answer says, if it came. @returns whether `isEmpty` has become another */
function conclude(progress: Progress, askedMs: number): boolean {
  const { answer, isEmpty } = progress;
  // When an agent or its machine restarts, no connection comes back.
  if (isEmpty && answer !== undefined && 'failure' in answer) return false;
  const hasNone = answer !== undefined && 'connections' in answer && answer.connections === 0;
  progress.noneSinceMs = hasNone ? (progress.noneSinceMs ?? askedMs) : undefined;
  progress.isEmpty = progress.noneSinceMs !== undefined && askedMs - progress.noneSinceMs >= CONFIRM_MS;
  return progress.isEmpty !== isEmpty;
}

function drainsOf(pools: Membership, services: readonly ServiceConfig[]): Drain[] {
  return [...pools].flatMap(([pool, membership]) => {
    const { file, changes } = membership;
    const ofPool = services.filter((service) => service.pool === pool && service.protocol === 'tcp');
    return changes.members.flatMap(({ name, address, agent }): Drain[] => {
      const sinceMs = drainsSinceMs(membership, name);
      if (sinceMs === undefined) return [];
      return [
        {
          pool,
          backend: name,
          address: address.text,
          sinceMs,
          deadlineMs: sinceMs + file.drainDeadlineMs,
          uncounted: !agent
            ? 'it runs no agent that could count'
            : ofPool.length === 0
              ? 'the pool serves no TCP, and only TCP has connections to count'
              : undefined,
          services: ofPool.map((service) => service.name),
          isKept: agent && ofPool.some(({ secondChance }) => secondChance),
          progress: { answer: undefined, noneSinceMs: undefined, isEmpty: false, isTold: false },
        },
      ];
    });
  });
}
