/**
 * Which backends take SYN cookies of this node: what the last report of each agent said. It holds until the agent says otherwise, so that
 * one that is silent does not switch the defence off.
 */
import type { CookiesReport } from '../agent/report.js';
import { OTHER_COOKIE_KEY } from '../api/defend.js';
import { COOKIE_CLOCKS_APART_MS_MAX } from '../core/limits.js';
import { formatDuration } from '../core/time.js';

/** Of an agent that takes cookies under some key. */
export interface KeptTaker {
  readonly address: string;
  /** Fingerprints. */
  readonly keys: readonly string[];
  readonly apartMs: number;
}

interface Said {
  readonly cookies: CookiesReport | undefined;
  /** Its clock minus that of this host; undefined when it does not say. */
  readonly apartMs: number | undefined;
}

export class CookieTakers {
  /** By address as text. */
  readonly #said = new Map<string, Said>();
  #key: string | undefined;

  constructor(kept: readonly KeptTaker[]) {
    for (const { address, keys, apartMs } of kept)
      this.#said.set(address, { cookies: { ok: true, keys }, apartMs });
  }

  /** @param key fingerprint of the key of this node; undefined when it makes no cookies */
  use(key: string | undefined): void {
    this.#key = key;
  }

  /**
   * An agent has reported.
   * @param clockMs of its host, in milliseconds since 1970, to the second
   * @returns whether it now takes cookies and did not, or the other way round
   */
  heard(
    address: string,
    cookies: CookiesReport | undefined,
    clockMs: number | undefined,
    nowMs: number,
  ): boolean {
    const before = this.takes(address);
    // Half of the second that is not told.
    this.#said.set(address, { cookies, apartMs: clockMs === undefined ? undefined : clockMs + 500 - nowMs });
    return this.takes(address) !== before;
  }

  /** Forgets all others. */
  keep(addresses: ReadonlySet<string>): void {
    for (const address of this.#said.keys()) if (!addresses.has(address)) this.#said.delete(address);
  }

  takes(address: string): boolean {
    return this.whyNot(address) === undefined;
  }

  /** Undefined when it takes them. */
  whyNot(address: string): string | undefined {
    const said = this.#said.get(address);
    if (said === undefined) return 'its agent has not answered yet';
    const { cookies, apartMs } = said;
    if (cookies === undefined) return 'its agent is of a version that takes none';
    if (!cookies.ok) return cookies.why;
    if (this.#key === undefined || !cookies.keys.includes(this.#key)) return OTHER_COOKIE_KEY;
    if (apartMs === undefined) return 'its agent does not tell its time';
    if (Math.abs(apartMs) <= COOKIE_CLOCKS_APART_MS_MAX) return undefined;
    const by = formatDuration(Math.round(Math.abs(apartMs) / 1000) * 1000);
    return `its clock is ${by} ${apartMs > 0 ? 'ahead of' : 'behind'} that of this host; cookies take ${formatDuration(COOKIE_CLOCKS_APART_MS_MAX)} at most`;
  }

  get kept(): KeptTaker[] {
    return [...this.#said].flatMap(([address, { cookies, apartMs }]) =>
      cookies?.ok === true && apartMs !== undefined ? { address, keys: cookies.keys, apartMs } : [],
    );
  }
}
