/**
 * Which backends a node reaches and checks: those in force, those of the change that is under way, and those of one that is made ready. If
 * that fails, for want of descriptors say, it is tried again, later and later.
 */
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { formatDuration } from '../core/time.js';
import { type Membership, markedBackends, type NamedBackend, reachedBackends } from '../pool/membership.js';
import type { NodeSurroundings } from './surroundings.js';

export interface MemberFollowingOptions {
  readonly around: Pick<NodeSurroundings, 'reach' | 'check'>;
  readonly members: () => Members;
  readonly log: Logger;
}

interface Members {
  readonly inForce: Membership;
  readonly coming: Membership;
  readonly prepared: Membership;
}

/** When to try again: at first, and after many failures. */
const [AGAIN_MS, AGAIN_MS_MAX] = [1_000, 64_000];

export class MemberFollowing {
  readonly #options: MemberFollowingOptions;
  #again: NodeJS.Timeout | undefined;
  #delayMs = AGAIN_MS;
  #isClosed = false;

  constructor(options: MemberFollowingOptions) {
    this.#options = options;
  }

  /** Resolves when each member has a next hop, or none, and its first result. @throws when this host cannot */
  async all(): Promise<void> {
    const { around, members } = this.#options;
    const now = members();
    await Promise.all([around.reach(reached(now)), around.check(checked(now))]);
  }

  /** The same for as long as it takes. */
  async follow(): Promise<void> {
    if (this.#isClosed) return;
    clearTimeout(this.#again);
    try {
      await this.all();
      this.#delayMs = AGAIN_MS;
    } catch (error) {
      if (this.#isClosed) return;
      const delayMs = this.#delayMs;
      this.#options.log.error(
        { event: 'follow_failed', error },
        `backends can no longer be followed as they should: ${reasonOf(error)}; tried again in ${formatDuration(delayMs)}`,
      );
      clearTimeout(this.#again);
      this.#again = setTimeout(() => void this.follow(), delayMs).unref();
      this.#delayMs = Math.min(2 * delayMs, AGAIN_MS_MAX);
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#again);
  }
}

function reached({ inForce, coming, prepared }: Members): NamedBackend[] {
  return [inForce, coming, prepared].flatMap((pools) => [...reachedBackends(pools)]);
}

/**
 * All members by the checks that they will have, so that a check that this host cannot make prevents the change. A check that the
 * change ends goes on until the change is in force, because backends without a result count as down.
 */
function checked({ inForce, coming, prepared }: Members): NamedBackend[] {
  const current = markedBackends(inForce).map(({ pool, backend }) => {
    const next = (coming.get(pool.name) ?? prepared.get(pool.name))?.file;
    return { pool: next === undefined || next.health.length === 0 ? pool : next, backend };
  });
  const all = [...markedBackends(prepared), ...markedBackends(coming), ...current];
  // Of two with one name, the map keeps the later one: the one in force.
  return [...new Map(all.map((each) => [`${each.pool.name}/${each.backend.name}`, each])).values()];
}
