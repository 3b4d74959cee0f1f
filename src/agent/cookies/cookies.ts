/**
 * Whether this host takes SYN cookies of the fleet, and what it takes for that. Forwarders believe the report and answer SYNs for this
 * host, so it says yes only when the whole way is there: the key, the program at tc ingress, the XDP program that marks for it, the
 * kernel's settings, and services whose sockets take cookies. All that can change is looked at each second.
 *
 *   config --> lasting obstacle? --> the program at tc ingress --> XDP program with the keys --> passing obstacle? --> report
 *
 * What cannot be seen beforehand shows by the kernel's refusals: after one the report says no for a while.
 */
import type { LoadedConfig } from '../../config/types.js';
import { AnyhopError } from '../../core/errors.js';
import { COOKIES_REFUSED_MS } from '../../core/limits.js';
import type { Logger } from '../../core/log.js';
import { reasonOf } from '../../core/reason.js';
import { formatDuration } from '../../core/time.js';
import { cookieKeyFingerprint } from '../../hash/cookie-key.js';
import type { CookieOptions } from '../program.js';
import type { CookiesReport } from '../report.js';
import { type CookieHost, lastingObstacle, type Obstacle, passingObstacle, thisCookieHost } from './host.js';
import { Ingress } from './ingress.js';
import { cookieKeysOf, wantsCookies } from './keys.js';

/** Where the agent's programs are. */
export interface CookiePlace {
  /** Of the pins; undefined when nothing can be pinned. */
  readonly directory: string | undefined;
  readonly interfaceIndex: number;
}

/** What a config makes of it, once its XDP program is in force. */
interface State {
  readonly config: LoadedConfig<'agent'>;
  readonly keys: readonly Uint8Array[];
  readonly obstacle: Obstacle | undefined;
}

/** Of the program at tc ingress, what is asked of it here. */
export type IngressProgram = Pick<Ingress, keyof Ingress>;

export class Cookies {
  readonly #place: CookiePlace;
  readonly #log: Logger;
  readonly #host: CookieHost;
  readonly #open: (directory: string, interfaceIndex: number) => IngressProgram;
  #ingress: IngressProgram | undefined;
  #prepared: State | undefined;
  #inForce: State | undefined;
  #report: CookiesReport = { ok: false, why: 'it has just started' };
  #lastCounts: Record<string, number> | undefined;
  /** By the kernel, as of the last second; and by the driver, before this agent. */
  #refused = 0;
  #refusedByDriver = 0;
  #refusedUntil = 0;

  /** @param open as `Ingress.open` */
  constructor(
    place: CookiePlace,
    log: Logger,
    host: CookieHost = thisCookieHost,
    open: (directory: string, interfaceIndex: number) => IngressProgram = Ingress.open,
  ) {
    this.#place = place;
    this.#log = log;
    this.#host = host;
    this.#open = open;
  }

  /**
   * Makes ready for an XDP program of a config: the program at tc ingress is on the interface when this returns.
   * @returns what the XDP program is to be loaded with; undefined for one without cookies. Close its maps
   */
  prepare(config: LoadedConfig<'agent'>): CookieOptions | undefined {
    const keys = cookieKeysOf(config);
    const obstacle = lastingObstacle(config, this.#host) ?? this.#openIngress();
    this.#prepared = { config, keys, obstacle };
    return obstacle === undefined ? { keys, ...this.#ingress!.shared() } : undefined;
  }

  #openIngress(): Obstacle | undefined {
    const { directory, interfaceIndex } = this.#place;
    if (this.#ingress !== undefined) return undefined;
    if (directory === undefined)
      return {
        why: 'nothing can be pinned, so the program at tc ingress would end with the agent',
        hint: 'Mount a BPF file system: agent.bpffs.',
      };
    try {
      this.#ingress = this.#open(directory, interfaceIndex);
      const counts = this.#ingress.counts();
      this.#refused = counts['refused_kernel'];
      this.#refusedByDriver = counts['refused_driver'];
      return undefined;
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      return {
        why: `the kernel refuses the program at tc ingress: ${reasonOf(error)}`,
        hint: error.hint ?? 'See dmesg.',
      };
    }
  }

  /** Whether something keeps this host from taking the cookies that its config wants, until the next program at least. */
  get isHindered(): boolean {
    return this.#inForce?.obstacle !== undefined && wantsCookies(this.#inForce.config);
  }

  /** The XDP program of the config that was prepared is in force: what only the former one needed goes. */
  putInForce(): void {
    this.#inForce = this.#prepared;
    this.#removeUnused();
    this.look();
  }

  /** The XDP program that was prepared is not in force, and will not be. */
  withdraw(): void {
    this.#prepared = this.#inForce;
    this.#removeUnused();
  }

  #removeUnused(): void {
    if (this.#inForce?.obstacle === undefined) return;
    this.#ingress?.remove();
    this.#ingress = undefined;
  }

  /** To be called each second: follows the clock, and what the host can. */
  look(): void {
    const ingress = this.#ingress;
    ingress?.tick();
    const obstacle = this.#obstacle();
    const wanted = this.#inForce !== undefined && wantsCookies(this.#inForce.config);
    const former = this.#report;
    this.#report =
      obstacle === undefined
        ? { ok: true, keys: this.#inForce!.keys.map(cookieKeyFingerprint) }
        : { ok: false, why: obstacle.why };
    if (!wanted || JSON.stringify(former) === JSON.stringify(this.#report)) return;
    if (obstacle === undefined)
      this.#log.info({ event: 'cookies_taken' }, 'this host takes SYN cookies of the fleet');
    else
      this.#log.warn(
        { event: 'cookies_not_taken', hint: obstacle.hint },
        `this host takes no SYN cookies of the fleet: ${obstacle.why}`,
      );
  }

  #obstacle(): Obstacle | undefined {
    const state = this.#inForce;
    if (state === undefined) return { why: 'it has just started', hint: '' };
    return (
      state.obstacle ?? this.#lostIngress() ?? passingObstacle(state.config, this.#host) ?? this.#refusal()
    );
  }

  /** The program at tc ingress goes back where somebody took it off. */
  #lostIngress(): Obstacle | undefined {
    const ingress = this.#ingress!;
    if (ingress.isAttached()) return undefined;
    try {
      ingress.attachAgain();
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      return {
        why: `the program at tc ingress is gone: ${reasonOf(error)}`,
        hint: 'See who removes it: bpftool net.',
      };
    }
    this.#log.warn(
      { event: 'attached_again' },
      'somebody had taken the program for SYN cookies off tc ingress; it is there again',
    );
    return undefined;
  }

  #refusal(): Obstacle | undefined {
    const { refused_kernel: refused, refused_driver: refusedByDriver } = this.#ingress!.counts();
    if (refusedByDriver > this.#refusedByDriver)
      return {
        why: 'the driver of its interface keeps no marks of XDP with packets (refused_driver)',
        hint: 'It takes a driver with XDP metadata; "ethtool -i INTERFACE" names the driver. Those of some virtual machines have none.',
      };
    const now = performance.now();
    if (refused > this.#refused) this.#refusedUntil = now + COOKIES_REFUSED_MS;
    this.#refused = refused;
    if (now >= this.#refusedUntil) return undefined;
    return {
      why: `its kernel has refused a cookie within the last ${formatDuration(COOKIES_REFUSED_MS)} (refused_kernel)`,
      hint: 'Does a service listen by something else than plain TCP? See ss -tlni.',
    };
  }

  /** As of the last second. */
  report(): CookiesReport {
    return this.#report;
  }

  /** Packets with cookies of the fleet by what became of them; undefined when this host takes none. */
  counts(): Record<string, number> | undefined {
    return this.#ingress?.counts() ?? this.#lastCounts;
  }

  /** Pins again what somebody has removed. @returns whether something was gone */
  keepPinned(): boolean {
    return this.#ingress?.keepPinned() ?? false;
  }

  /** Lets go of all, and leaves what the XDP program needs. */
  leave(): void {
    this.#lastCounts = this.counts();
    this.#ingress?.leave();
    this.#ingress = undefined;
  }

  /** Takes all off. The XDP program must be off already. */
  stop(): void {
    this.#lastCounts = this.counts();
    this.#ingress?.remove();
    this.#ingress = undefined;
  }
}
