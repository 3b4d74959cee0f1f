/**
 * A node's backends by what the nodes of its fleet see together (fleet/agreed.ts), and what this node tells the others.
 *
 *   own checks, next hops --own view--> told to the others
 *                              \
 *   others' views --------------> agreed --> marks          own view and agreed one differ a lot --> this node is not ready
 *
 * A backend to which this node knows no way stays down here, whatever the others see: its packets would be dropped.
 */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import type { Logger } from '../core/log.js';
import {
  type Agreed,
  Agreement,
  agreedReason,
  type HealthView,
  laterMs,
  seesMostDown,
} from '../fleet/agreed.js';
import { type Membership, markedBackends, markedIn } from '../pool/membership.js';
import type { Why } from './marks.js';

/** How nodes tell each other what they see: fleet/health-views.ts. */
export interface FleetViews {
  /** Of the config that this node goes by. */
  readonly revision: number;
  /** Of other nodes. */
  fresh(): readonly HealthView[];
  /** Calls `listener` when `fresh` may say something else. */
  onChange(listener: () => void): void;
  /** @param down `pool/backend` of all that this node sees down */
  tell(down: ReadonlySet<string>): void;
}

export interface AgreedHealthOptions {
  readonly views: FleetViews;
  /** By this node's own view. */
  readonly own: Why;
  /** Why there is no way to a backend; undefined when there is one. */
  readonly noWay: (backend: BackendConfig) => string | undefined;
  readonly pools: () => Membership;
  /** Called when marks may have changed by what others say. */
  readonly changed: () => void;
  readonly log: Logger;
  /** Milliseconds of a clock that only runs forward. */
  readonly now?: () => number;
}

interface Judged {
  readonly own: string | undefined;
  readonly agreed: Agreed;
}

export class AgreedHealth {
  readonly #options: AgreedHealthOptions;
  #agreement: Agreement;
  /** By `pool/backend address`: the revision that brought it; 0 for what the process began with. */
  readonly #since = new Map<string, number>();
  #hasBegun = false;
  /** Of what is told: those that the fleet sees down. */
  #down: ReadonlySet<string> = new Set();
  #blind: string | undefined;
  /** By pool: since when this node sees more than half of it down, and the fleet does not. */
  #differsSince: ReadonlyMap<string, number> = new Map();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AgreedHealthOptions) {
    const { views, changed } = options;
    this.#options = options;
    this.#agreement = new Agreement(views.fresh());
    views.onChange(() => {
      this.#agreement = new Agreement(views.fresh());
      changed();
    });
  }

  readonly why: Why = (pool, backend) => {
    const noWay = this.#options.noWay(backend);
    if (noWay !== undefined) return noWay;
    const { own, agreed } = this.#judge(pool, backend);
    return agreed.isUp ? undefined : agreedReason(own, agreed);
  };

  /** What is wrong with one that is up all the same. */
  readonly butWhy: Why = (pool, backend) => {
    const { own, agreed } = this.#judge(pool, backend);
    return agreed.isUp ? agreedReason(own, agreed) : undefined;
  };

  /** How many views it goes by, the own one included. */
  get fresh(): number {
    return this.#agreement.views;
  }

  /** Why this node is not to be sent traffic; undefined when it sees what the others see, most of it. */
  get blind(): string | undefined {
    return this.#blind;
  }

  /**
   * Tells the others and the log what has changed. Call it when marks or members may have.
   * @returns whether `blind` has changed
   */
  look(): boolean {
    const { views, pools } = this.#options;
    const seenDown = new Set<string>();
    const agreedDown = new Set<string>();
    const known = new Set<string>();
    /** By pool: those that this node sees down, and the fleet does not. */
    const disputed = new Map<string, number>();
    for (const { pool, backend } of markedBackends(pools())) {
      const name = `${pool.name}/${backend.name}`;
      const { own, agreed } = this.#judge(pool, backend);
      known.add(keyOf(pool, backend));
      if (own !== undefined) seenDown.add(name);
      if (!agreed.isUp) agreedDown.add(name);
      else if (own !== undefined) disputed.set(pool.name, (disputed.get(pool.name) ?? 0) + 1);
      if (agreed.of > 1 && agreed.isUp === this.#down.has(name)) this.#log(name, own, agreed);
    }
    for (const key of this.#since.keys()) if (!known.has(key)) this.#since.delete(key);
    this.#hasBegun = true;
    this.#down = agreedDown;
    views.tell(seenDown);
    const before = this.#blind;
    this.#blind = this.#blindness(disputed);
    return this.#blind !== before;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /**
   * Why this node is not well: it sees more than half of a pool down, against the others, for longer than they need to see what is really
   * down. Never all nodes of a fleet at once: for that, each backend would have to be seen down by more than half of them, and then it is.
   */
  #blindness(disputed: ReadonlyMap<string, number>): string | undefined {
    const { pools, changed, now = () => performance.now() } = this.#options;
    clearTimeout(this.#timer);
    const differs = [...disputed].flatMap(([pool, count]) => {
      const all = markedIn(pools().get(pool)!).length;
      return seesMostDown(count, all) ? [{ pool, count, all }] : [];
    });
    const before = this.#differsSince;
    const nowMs = now();
    this.#differsSince = new Map(differs.map(({ pool }) => [pool, before.get(pool) ?? nowMs]));
    const left = differs.map(({ pool }) => {
      return this.#differsSince.get(pool)! + laterMs(pools().get(pool)!.file.health) - nowMs;
    });
    const at = left.findIndex((ms) => ms <= 0);
    if (at >= 0) {
      const { pool, count, all } = differs[at];
      return `this node sees ${count} of ${all} backends of the pool ${pool} down, which most nodes of its fleet see up`;
    }
    if (left.length > 0) this.#timer = setTimeout(changed, Math.ceil(Math.min(...left))).unref();
    return undefined;
  }

  #judge(pool: PoolConfig, backend: BackendConfig): Judged {
    const key = keyOf(pool, backend);
    let since = this.#since.get(key);
    if (since === undefined) {
      since = this.#hasBegun ? this.#options.views.revision : 0;
      this.#since.set(key, since);
    }
    const own = this.#options.own(pool, backend);
    return { own, agreed: this.#agreement.of(`${pool.name}/${backend.name}`, since, own === undefined) };
  }

  #log(backend: string, own: string | undefined, agreed: Agreed): void {
    const { log } = this.#options;
    const { isUp, down, of } = agreed;
    const reason = agreedReason(own, agreed) ?? `${of - down} of ${of} nodes see it up`;
    const fields = { event: 'health_agreed', backend, health: isUp ? 'up' : 'down', reason } as const;
    const text = `${backend} is ${fields.health} for the fleet: ${reason}`;
    if (isUp) log.info(fields, text);
    else log.warn(fields, text);
  }
}

function keyOf({ name: pool }: PoolConfig, { name, address }: BackendConfig): string {
  return `${pool}/${name} ${address.text}`;
}
