/**
 * The fleets of the configs that have been in force. A config may change whom the agent takes GRE from, for which services, and whom it
 * sends on to, and no two machines get it at the same moment: what the one before had beside it holds on for a settle time. So does an id: it is another
 * machine's only when no packet can still mean the one that had it, or the packet would be taken by the wrong backend.
 *
 * An agent may miss the config in which a machine leaves, and get the next one, where its id is another's. It refuses that one for a
 * settle time from the first attempt on: then all others have left the config that is in force here.
 *
 * A restart forgets none of it as long as the program stays on the interface (fleet-pin.ts).
 */
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { FORWARDERS_LATE_MS_MAX } from '../core/limits.js';
import { type Fleet, fleetOf, namesOf, type Peer, withFormer } from './fleet.js';

/** A fleet, and for how long it holds on once another is in force. */
export interface HeldFleet {
  readonly fleet: Fleet;
  readonly settleMs: number;
}

export interface FormerFleet {
  readonly fleet: Fleet;
  readonly untilMs: number;
}

/** An id that a refused config gives to another address than the present one does, and when it may. */
export interface Claim {
  readonly id: number;
  readonly address: string;
  readonly freeAtMs: number;
}

export class FleetHistory {
  readonly present: HeldFleet;
  readonly former: readonly FormerFleet[];
  readonly claims: readonly Claim[];
  readonly #now: () => number;

  /** @param now milliseconds of a clock that nobody sets, and that all processes of this boot share */
  constructor(
    present: HeldFleet,
    former: readonly FormerFleet[] = [],
    claims: readonly Claim[] = [],
    now = monotonicMs,
  ) {
    this.present = present;
    this.former = former;
    this.claims = claims;
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

  /** The history once this config has been seen. To be kept also when `next` refuses it; the same object when nothing is new. */
  withClaims(config: LoadedConfig<'agent'>): FleetHistory {
    const next = heldBy(config);
    const freeAtMs = this.#now() + this.#settleMsTo(next);
    const claims = takenIds(next.fleet, [this.present.fleet]).map(
      ({ id, address: { text } }) =>
        this.claims.find((one) => one.id === id && one.address === text) ?? { id, address: text, freeAtMs },
    );
    const isKnown = claims.length === this.claims.length && claims.every((one) => this.claims.includes(one));
    return isKnown ? this : new FleetHistory(this.present, this.former, claims, this.#now);
  }

  /**
   * The history with another config in force. What the present one has beside it holds on, for the longer settle time of the two.
   * @throws AnyhopError ERR_CONFIG when an id of the config named another address within the settle time
   */
  next(config: LoadedConfig<'agent'>): FleetHistory {
    const next = heldBy(config);
    const present = {
      fleet: this.#withoutGivenAway(next.fleet),
      untilMs: this.#now() + this.#settleMsTo(next),
    };
    const before = [...this.#held(), present];
    requireFreeIds(
      next.fleet,
      before.map(({ fleet }) => fleet),
    );
    const known = new Set(namesOf(next.fleet));
    const isNews = namesOf(present.fleet).some((name) => !known.has(name));
    return new FleetHistory(next, isNews ? before : this.#held(), [], this.#now);
  }

  #settleMsTo({ settleMs }: HeldFleet): number {
    return Math.max(this.present.settleMs, settleMs);
  }

  /** The present fleet, without peers whose ids are another's by now. */
  #withoutGivenAway({ peers }: Fleet): Fleet {
    const nowMs = this.#now();
    const given = this.claims.filter(({ freeAtMs }) => freeAtMs <= nowMs);
    const gone = new Set(
      peers
        .filter(({ id, address }) => given.some((one) => one.id === id && one.address === address.text))
        .map(({ id }) => id),
    );
    const { fleet } = this.present;
    return { ...fleet, peers: fleet.peers.filter(({ id }) => !gone.has(id)) };
  }

  #held(): readonly FormerFleet[] {
    const nowMs = this.#now();
    return this.former.filter(({ untilMs }) => untilMs > nowMs);
  }
}

/** What a config has in force. In a fleet with a store forwarders switch after the agents, and their settle time ends later. */
export function heldBy(config: LoadedConfig<'agent'>): HeldFleet {
  const settleMs = Math.max(0, ...config.pools.map((pool) => pool.settleMs));
  return { fleet: fleetOf(config), settleMs: settleMs + (config.isInFleet ? FORWARDERS_LATE_MS_MAX : 0) };
}

function requireFreeIds(fleet: Fleet, former: readonly Fleet[]): void {
  const [taken] = takenIds(fleet, former);
  if (taken === undefined) return;
  const { id, address, holder } = taken;
  throw new AnyhopError(
    'ERR_CONFIG',
    `backend ${address.text} has the id ${id}, which ${holder} had within the settle time: packets on their way may still mean ${holder}`,
    { hint: 'Give the backend another id (id: N), or try again a settle time after the first refusal.' },
  );
}

/** Peers with an id that another address had, and which. */
function takenIds({ peers }: Fleet, former: readonly Fleet[]): (Peer & { readonly holder: string })[] {
  const holders = new Map(
    former.flatMap((fleet) => fleet.peers.map(({ id, address }) => [id, address.text])),
  );
  return peers.flatMap((peer) => {
    const holder = peer.id === 0 ? undefined : holders.get(peer.id);
    return holder === undefined || holder === peer.address.text ? [] : [{ ...peer, holder }];
  });
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
