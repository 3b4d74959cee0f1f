/**
 * The validated section `defend`, as the rest of the program sees it: what a node does against floods, with everything that a pool or a
 * service says otherwise already in its place. Rates are as written: so many in a window of `perMs`.
 */
import type { IpPrefix } from '../../packet/address.js';
import type { Secret } from '../secret.js';

/** `observe` counts what a rule would drop, and drops nothing. */
export const DEFEND_MODES = ['off', 'observe', 'enforce'] as const;
export type DefendMode = (typeof DEFEND_MODES)[number];

export const SYN_COOKIES = ['off', 'auto', 'always'] as const;
export type SynCookies = (typeof SYN_COOKIES)[number];

/** Of one source, or of one network. Undefined: no limit. */
export interface RateLimit {
  readonly packets: number | undefined;
  readonly syn: number | undefined;
}

export interface SourceRate extends RateLimit {
  readonly mode: Exclude<DefendMode, 'off'>;
  readonly perMs: number;
  /** Bits of an address that are one source. */
  readonly prefix4: number;
  readonly prefix6: number;
  /** Beside it, for all of a /24 (IPv4) or /48 (IPv6). */
  readonly network: RateLimit | undefined;
}

export interface ServiceRate {
  readonly mode: Exclude<DefendMode, 'off'>;
  /** SYNs that may pass to the backends in perMs. */
  readonly syn: number;
  readonly perMs: number;
}

/** What holds for one service. */
export interface DefendRules {
  /** Of the lists. */
  readonly lists: DefendMode;
  readonly sourceRate: SourceRate | undefined;
  readonly serviceRate: ServiceRate | undefined;
  readonly synCookies:
    | { readonly mode: Exclude<DefendMode, 'off'>; readonly when: Exclude<SynCookies, 'off'> }
    | undefined;
  /** Whether sources are counted for this service alone: it, or its pool, says something of source_rate. */
  readonly ownSources: boolean;
}

/** One entry of `allow` or `block`. */
export type ListSource =
  | { readonly kind: 'prefix'; readonly prefix: IpPrefix }
  | {
      readonly kind: 'file';
      /** Absolute path. */
      readonly path: string;
      /** How often it is looked at, in ms, beside being watched. */
      readonly reloadMs: number;
    };

/** What keys of SYN cookies are made of (hash/cookie-key.ts). */
export interface CookieSecrets {
  /** The key itself, 16 bytes; undefined without a file of its own. */
  readonly own: Secret | undefined;
  /** The same of the former key, whose cookies agents accept too. */
  readonly former: Secret | undefined;
  /** The secret of the fleet, of which the key is derived without one of its own; undefined where it cannot be read. */
  readonly fleet: Secret | undefined;
}

export interface DefendConfig {
  /** Default of every rule. */
  readonly mode: DefendMode;
  readonly allow: readonly ListSource[];
  readonly block: readonly ListSource[];
  /** A file that has lost more than this share of its prefixes keeps the former ones in force; 0 to 1. */
  readonly maxShrink: number;
  /** By service name; a service without rules is not in it. */
  readonly rules: ReadonlyMap<string, DefendRules>;
  /** Only for the roles of nodes and agents. */
  readonly cookies: CookieSecrets | undefined;
}
