/**
 * The norm of a service: how many SYNs a second are usual for it, as a mean over ten minutes in which older seconds fade. `auto` uses
 * cookies above a multiple of it, so a flood must not become the norm:
 *
 *   A SYN counts only with what a real client sends after it: the packets that are no SYNs bound what a second counts for. Spoofed SYNs
 *   are followed by nothing.
 *   While cookies are in use, a second counts for no more than the threshold at which they came into use; twice as much after each ten
 *   minutes that they are, so that real clients who came to stay are the norm some day.
 *
 * A service without a past has the mean of all seconds so far as its norm, until there are ten minutes of them.
 */
import { COOKIE_NORM_FACTOR, COOKIE_SYNS_PER_SECOND_MIN } from '../core/limits.js';

export const NORM_MS = 600_000;
/** The least that a client sends beside its SYN: the ACK, and the end of the connection. */
const PACKETS_BESIDE_SYN = 2;

/** What came in some time, about a second. */
export interface Arrived {
  readonly ms: number;
  readonly syns: number;
  /** Forwarded packets that are no SYNs. */
  readonly others: number;
  /** Whether cookies are in use, or would be in observe mode. */
  readonly cookies: boolean;
}

export interface KeptNorm {
  readonly perSecond: number;
  /** How much time it is made of. */
  readonly learntMs: number;
}

export class Norm {
  #perSecond: number;
  #learntMs: number;
  /** Of the use of cookies that lasts. */
  #since: { readonly threshold: number; ms: number } | undefined;

  constructor({ perSecond, learntMs }: KeptNorm = { perSecond: 0, learntMs: 0 }) {
    this.#perSecond = perSecond;
    this.#learntMs = learntMs;
  }

  /** SYNs. */
  get perSecond(): number {
    return this.#perSecond;
  }

  /** SYNs a second above which there are too many. */
  get threshold(): number {
    return Math.max(COOKIE_NORM_FACTOR * this.#perSecond, COOKIE_SYNS_PER_SECOND_MIN);
  }

  get kept(): KeptNorm {
    return { perSecond: this.#perSecond, learntMs: this.#learntMs };
  }

  take({ ms, syns, others, cookies }: Arrived): void {
    if (ms <= 0) return;
    if (!cookies) this.#since = undefined;
    else {
      this.#since ??= { threshold: this.threshold, ms: 0 };
      this.#since.ms += ms;
    }
    const believed = Math.min(syns, others / PACKETS_BESIDE_SYN) * (1000 / ms);
    const counted = Math.min(believed, this.#most());
    this.#learntMs = Math.min(this.#learntMs + ms, NORM_MS);
    this.#perSecond += (counted - this.#perSecond) * Math.min(ms / this.#learntMs, 1);
  }

  /** What a second may count for. */
  #most(): number {
    if (this.#since === undefined || this.#learntMs < NORM_MS) return Number.POSITIVE_INFINITY;
    return this.#since.threshold * 2 ** Math.floor(this.#since.ms / NORM_MS);
  }
}
