/**
 * What a node says of its defence, and can be told: `GET /defend`, `GET /defend/top`, and POST `/defend/block`, `/defend/allow` and
 * `/defend/unblock`. Plain JSON. Rates are by the second; times are ISO 8601.
 */
import type { DefendMode, SynCookies } from '../config/defend/types.js';
import type { IpPrefix } from '../packet/address.js';

export interface DefendActions {
  defend(): Promise<DefendReport>;
  defendTop(): Promise<DefendTopReport>;
  /** @throws ControlError 409 when no service looks at lists, and for too many; 503 when it cannot be put in force */
  block(listed: ListedPrefixes): Promise<BlockReport>;
  allow(listed: ListedPrefixes): Promise<BlockReport>;
  unblock(listed: Pick<ListedPrefixes, 'prefixes'>): Promise<BlockReport>;
}

export interface ListedPrefixes {
  readonly prefixes: readonly IpPrefix[];
  /** Undefined: until they are taken back. */
  readonly forMs?: number | undefined;
  readonly why?: string | undefined;
}

/** What a rule did, and in observe mode would have done, since the counters began; packets. */
export interface DidWould {
  readonly did: number;
  readonly would: number;
}

export interface DefendCounts {
  /** SYNs that came and were not dropped by lists or the rate of their source. */
  readonly syns: number;
  /** Of sources on the list `allow`: spared the limits of sources. */
  readonly allowed: number;
  readonly blocked: DidWould;
  readonly sourceRate: DidWould;
  readonly serviceRate: DidWould;
  /** SYNs answered with a cookie. */
  readonly cookies: DidWould;
  /** SYNs dropped while cookies were on, because the owner of their slot cannot take them, or the budget was used up. */
  readonly synLimited: DidWould;
}

export interface RateLimitStatus {
  /** Absent: no limit. */
  readonly packets?: number;
  readonly syn?: number;
}

export interface SourceRateStatus extends RateLimitStatus {
  readonly mode: 'observe' | 'enforce';
  readonly perMs: number;
  /** Bits of an address that are one source. */
  readonly prefix4: number;
  readonly prefix6: number;
  /** For all of a /24 or /48; absent without such a limit. */
  readonly network?: RateLimitStatus;
  /** Whether sources are counted for this service alone. */
  readonly own: boolean;
}

export interface ServiceRateStatus {
  readonly mode: 'observe' | 'enforce';
  readonly syn: number;
  readonly perMs: number;
}

export interface CookiesStatus {
  readonly mode: 'observe' | 'enforce';
  readonly when: Exclude<SynCookies, 'off'>;
  /** `active`: SYNs are answered with cookies now (in observe mode: would be). */
  readonly state: 'idle' | 'active';
  /** Since when; absent before the first change. */
  readonly since?: string;
}

export interface DefendedService {
  readonly name: string;
  /** Of the lists. */
  readonly lists: DefendMode;
  /** Absent: none. */
  readonly sourceRate?: SourceRateStatus;
  readonly serviceRate?: ServiceRateStatus;
  readonly cookies?: CookiesStatus;
  readonly counts: DefendCounts;
  /** SYNs a second now, and as they were in the last ten minutes; TCP services alone. */
  readonly synRate?: number;
  readonly norm?: number;
  /** SYNs a second above which cookies are used with `auto`. */
  readonly threshold?: number;
}

/** One file or one prefix that the config names in `allow` or `block`. */
export interface ListSourceStatus {
  /** The path, or the prefix. */
  readonly from: string;
  readonly prefixes: number;
  /** When what is in force was read; absent for a prefix, and before a file was ever read. */
  readonly loadedAt?: string;
  /** Why it was not read anew: what was read before is in force. Absent when it was. */
  readonly problem?: string;
}

export interface ListStatus {
  readonly prefixes4: number;
  readonly prefixes6: number;
  readonly sources: readonly ListSourceStatus[];
}

/** An entry that was made at runtime. */
export interface RuntimeBlock {
  readonly prefix: string;
  readonly verdict: 'block' | 'allow';
  readonly since: string;
  /** Absent: until it is taken back. */
  readonly until?: string;
  readonly why?: string;
}

export const ATTACK_KINDS = ['syn_flood', 'service_rate', 'source_rate', 'blocked'] as const;
/**
 * `syn_flood`: SYN cookies are in use, or would be. `service_rate`: more SYNs than the service may get. `source_rate`: sources above their
 * limit. `blocked`: packets of sources on the list `block`.
 */
export type AttackKind = (typeof ATTACK_KINDS)[number];

export interface AttackStatus {
  readonly service: string;
  readonly kind: AttackKind;
  readonly since: string;
  /** Absent while it lasts. */
  readonly until?: string;
  /** Packets a second of its kind: in its busiest second, and now (0 after its end). */
  readonly peak: number;
  readonly rate: number;
  /** Packets of its kind since it began. */
  readonly packets: number;
  /** Whether the node did something about it, or only counted (mode observe). */
  readonly mode: 'observe' | 'enforce';
}

/** Why none are taken where nothing on the backend's host shows a mistake. */
export const OTHER_COOKIE_KEY =
  'its agent has another key of SYN cookies than this node: give both the same defend.cookie_key_file, or the same node.key_file';

/** A backend whose agent cannot take cookies: SYNs to it pass under a cap while cookies are on. */
export interface CookieRefusal {
  readonly pool: string;
  readonly backend: string;
  readonly why: string;
}

export interface DefendReport {
  /** Default of every rule; `off` without a section `defend`. */
  readonly mode: DefendMode;
  /** In the order of the file; without those that have no rules. */
  readonly services: readonly DefendedService[];
  readonly lists: {
    readonly allow: ListStatus;
    readonly block: ListStatus;
    /** Bytes of the compiled form. */
    readonly bytes: number;
    /** Why these lists are not in force as a whole, and the former ones are; absent when all is well. */
    readonly problem?: string;
  };
  readonly blocks: readonly RuntimeBlock[];
  /** Empty when no service uses cookies, and when every backend can take them. */
  readonly withoutCookies: readonly CookieRefusal[];
  /** Those that last, and then those that ended in the last hour, the newest first. */
  readonly attacks: readonly AttackStatus[];
}

export interface HeavySourceStatus {
  /** An address, or the network of which it is one: `198.51.100.7`, `2001:db8:1:2::/64`. */
  readonly source: string;
  /** Up to the limit of a source, at least what was let through. */
  readonly packetsPerSecond: number;
  /** Packets of it above the limit, dropped or in observe mode let through, since it is one of those that send most. */
  readonly dropped: number;
  /** The service whose sources are counted apart; absent for the node's. */
  readonly scope?: string;
}

export interface DefendTopReport {
  /** The busiest first. */
  readonly sources: readonly HeavySourceStatus[];
}

export interface BlockReport {
  /** In the order in which the prefixes were given, each once. */
  readonly changes: readonly BlockChange[];
  /** What one may not expect: that it will not survive a restart. */
  readonly warnings: readonly string[];
}

/** What the node did with a prefix. */
export interface BlockChange {
  readonly prefix: string;
  /** `unchanged`: it was so already. */
  readonly effect: 'added' | 'changed' | 'removed' | 'unchanged';
  readonly verdict?: 'block' | 'allow';
  readonly until?: string;
}

/** In `GET /status`; absent when no service has rules. */
export interface DefendSummary {
  readonly mode: DefendMode;
  readonly services: readonly {
    readonly name: string;
    readonly synRate?: number;
    readonly cookies?: CookiesStatus['state'];
    /** Packets a second that were dropped or answered, and in observe mode would have been. */
    readonly absorbed: DidWould;
  }[];
  readonly lists: { readonly allow: number; readonly block: number; readonly problems: readonly string[] };
  readonly withoutCookies: readonly CookieRefusal[];
  readonly attacks: readonly AttackStatus[];
}
