/**
 * The fleets of the configs that have been in force. A config may change whom the agent takes GRE from and sends on to, and no two
 * machines get it at the same moment: what the one before had beside it holds on for a settle time. So does an id: it is another
 * machine's only when no packet can still mean the one that had it, or the packet would be taken by the wrong backend.
 *
 * A restart forgets none of it as long as the program stays on the interface (fleet-pin.ts).
 */
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { type Fleet, fleetOf, namesOf, withFormer } from './fleet.js';

/** A fleet, and for how long it holds on once another is in force. */
export interface HeldFleet {
  readonly fleet: Fleet;
  readonly settleMs: number;
}

export interface FormerFleet {
  readonly fleet: Fleet;
  readonly untilMs: number;
}

export class FleetHistory {
  readonly present: HeldFleet;
  readonly former: readonly FormerFleet[];
  readonly #now: () => number;

  /** @param now milliseconds of a clock that nobody sets, and that all processes of this boot share */
  constructor(present: HeldFleet, former: readonly FormerFleet[] = [], now = monotonicMs) {
    this.present = present;
    this.former = former;
    this.#now = now;
  }

  /** By the present config, and by those before that still hold. */
  fleet(): Fleet {
    return withFormer(
      this.present.fleet,
      this.#held().map(({ fleet }) => fleet),
    );
  }

  /** Whether a former fleet has ceased to hold since this history began. */
  hasExpired(): boolean {
    return this.#held().length < this.former.length;
  }

  /**
   * The history with another config in force. What the present one has beside it holds on, for the longer settle time of the two.
   * @throws AnyhopError ERR_CONFIG when an id of the config named another address within the settle time
   */
  next(config: LoadedConfig<'agent'>): FleetHistory {
    const next = heldBy(config);
    const settleMs = Math.max(this.present.settleMs, next.settleMs);
    const present = { fleet: this.present.fleet, untilMs: this.#now() + settleMs };
    const before = [...this.#held(), present];
    requireFreeIds(
      next.fleet,
      before.map(({ fleet }) => fleet),
    );
    const known = new Set(namesOf(next.fleet));
    const isNews = namesOf(present.fleet).some((name) => !known.has(name));
    return new FleetHistory(next, isNews ? before : this.#held(), this.#now);
  }

  #held(): readonly FormerFleet[] {
    const nowMs = this.#now();
    return this.former.filter(({ untilMs }) => untilMs > nowMs);
  }
}

/** What a config has in force. */
export function heldBy(config: LoadedConfig<'agent'>): HeldFleet {
  return { fleet: fleetOf(config), settleMs: Math.max(0, ...config.pools.map((pool) => pool.settleMs)) };
}

function requireFreeIds(fleet: Fleet, former: readonly Fleet[]): void {
  const holders = new Map(former.flatMap(({ peers }) => peers.map(({ id, address }) => [id, address.text])));
  for (const { id, address } of fleet.peers) {
    const holder = id === 0 ? undefined : holders.get(id);
    if (holder === undefined || holder === address.text) continue;
    throw new AnyhopError(
      'ERR_CONFIG',
      `backend ${address.text} has the id ${id}, which ${holder} had within the settle time: packets on their way may still mean ${holder}`,
      { hint: 'Give the backend another id (id: N).' },
    );
  }
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
