/**
 * How far drains have come. A backend that drains is asked, by its agent's report, how many connections it still has to the
 * services of its pool; the drain is done when there is none left, or at the pool's deadline. One that has none left is no
 * candidate any more (Member.drained), so that its slots' alternates can remember others.
 *
 * Only TCP has connections to count, and only agents count them: without either a drain is done at its deadline.
 */
import type { ServiceConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import type { Membership } from '../pool/membership.js';
import type { DrainStatus } from './status.js';

/** TCP connections by the service's name. */
export type CountConnections = (address: string) => Promise<ReadonlyMap<string, number>>;

export interface DrainsOptions {
  readonly count: CountConnections;
  readonly log: Logger;
  /** Milliseconds, as in pool/change.ts. */
  readonly now: () => number;
  /** Who has no connection left has changed. */
  readonly changed: () => void;
}

const POLL_MS = 2_000;

interface Drain {
  readonly pool: string;
  readonly backend: string;
  readonly address: string;
  readonly sinceMs: number;
  readonly deadlineMs: number;
  /** Why nobody can tell for as long as it drains; undefined when its agent can. */
  readonly uncounted: string | undefined;
  /** Names of the pool's services over TCP. */
  readonly services: readonly string[];
  /** Undefined before the first answer. */
  answer: { readonly connections: number } | { readonly failure: string } | undefined;
  isTold: boolean;
  /** No connection was left when it was last asked. */
  isEmpty: boolean;
}

export class Drains {
  readonly #options: DrainsOptions;
  #drains = new Map<string, Drain>();
  #timer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | undefined;

  constructor(options: DrainsOptions) {
    this.#options = options;
  }

  /** What is in force now. Whoever begins to drain is asked at once. */
  follow(pools: Membership, services: readonly ServiceConfig[]): void {
    const before = this.#drains;
    this.#drains = new Map(
      drainsOf(pools, services).map((drain) => {
        const key = `${drain.pool}/${drain.backend}`;
        const known = before.get(key);
        const isKnown = known?.sinceMs === drain.sinceMs && known.address === drain.address;
        return [
          key,
          isKnown ? { ...drain, answer: known.answer, isTold: known.isTold, isEmpty: known.isEmpty } : drain,
        ];
      }),
    );
    clearInterval(this.#timer);
    if (this.#drains.size === 0) return;
    this.#timer = setInterval(() => void this.poll(), POLL_MS).unref();
    if ([...this.#drains.values()].some(({ answer }) => answer === undefined)) void this.poll();
  }

  /** Undefined for a backend that does not drain. */
  status(pool: string, backend: string): DrainStatus | undefined {
    const drain = this.#drains.get(`${pool}/${backend}`);
    if (drain === undefined) return undefined;
    const { sinceMs, deadlineMs, answer } = drain;
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
    return this.#drains.get(`${pool}/${backend}`)?.isEmpty === true;
  }

  /** Asks every draining backend once; resolves when all have answered or failed to. */
  poll(): Promise<void> {
    this.#polling ??= this.#poll().finally(() => {
      this.#polling = undefined;
    });
    return this.#polling;
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
    await Promise.all(
      [...byAddress].map(async ([address, drains]) => {
        try {
          const connections = await this.#options.count(address);
          for (const drain of drains) {
            const sum = drain.services.reduce((all, name) => all + (connections.get(name) ?? 0), 0);
            drain.answer = { connections: sum };
          }
        } catch (error) {
          const failure = error instanceof Error ? error.message : String(error);
          for (const drain of drains) drain.answer = { failure };
        }
      }),
    );
    let hasChanged = false;
    for (const drain of this.#drains.values()) {
      const isEmpty = hasNoConnections(drain);
      hasChanged ||= isEmpty !== drain.isEmpty;
      drain.isEmpty = isEmpty;
      if (this.#isDone(drain)) this.#tell(drain);
    }
    if (hasChanged) this.#options.changed();
  }

  #isDone(drain: Drain): boolean {
    return this.#options.now() >= drain.deadlineMs || hasNoConnections(drain);
  }

  /** Once a drain. */
  #tell(drain: Drain): void {
    if (drain.isTold) return;
    drain.isTold = true;
    const { pool, backend, answer, uncounted } = drain;
    const fields = { event: 'drained', pool, backend };
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

function hasNoConnections({ answer }: Drain): boolean {
  return answer !== undefined && 'connections' in answer && answer.connections === 0;
}

function drainsOf(pools: Membership, services: readonly ServiceConfig[]): Drain[] {
  return [...pools].flatMap(([pool, { inForce, drainingSinceMs }]) => {
    const ofPool = services.filter((service) => service.pool === pool && service.protocol === 'tcp');
    return inForce.backends.flatMap(({ name, address, agent }): Drain[] => {
      const sinceMs = drainingSinceMs[name];
      if (sinceMs === undefined) return [];
      return [
        {
          pool,
          backend: name,
          address: address.text,
          sinceMs,
          deadlineMs: sinceMs + inForce.drainDeadlineMs,
          uncounted: !agent
            ? 'it runs no agent that could count'
            : ofPool.length === 0
              ? 'the pool serves no TCP, and only TCP has connections to count'
              : undefined,
          services: ofPool.map((service) => service.name),
          answer: undefined,
          isTold: false,
          isEmpty: false,
        },
      ];
    });
  });
}
