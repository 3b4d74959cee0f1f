/** What `anyhop announce` says of itself: on its control socket, to `--status`, and to those who follow it. Plain JSON. */

/** How routers see a VIP: with the first choice's metric, with that of a node that leaves, or not at all. */
export type Announcement = 'announced' | 'draining' | 'withdrawn';

/** What is heard from the node. `asked`: this process has just started; `silent`: the stream is open, and no line comes. */
export type Heard = 'asked' | 'starting' | 'serving' | 'stopping' | 'left' | 'silent' | 'gone';

/** Who said that nothing is announced: `anyhop announce --withdraw`, until `--resume`; or `anyhop stop`, until the node serves again. */
export type HeldBy = 'withdraw' | 'stop';

export interface AnnounceStatus {
  readonly node: string;
  /** Of this process. */
  readonly version: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Of the kernel. */
  readonly table: number;
  /** Inode number of the network namespace that the table is in. */
  readonly networkNamespace: number;
  /** What forwards, as the node said last; absent when it has never been heard. */
  readonly engine?: {
    readonly name: string;
    readonly interface: { readonly name: string; readonly index: number };
  };
  readonly heard: {
    readonly state: Heard;
    /** ISO 8601, as all times here. */
    readonly since: string;
    /** Why the node is not ready, in its words, or why it cannot be asked. */
    readonly reasons: readonly string[];
  };
  /** The kernel forwards without a process. */
  readonly orphan?: { readonly since: string; readonly until: string };
  readonly held?: { readonly by: HeldBy; readonly since: string };
  /** In the order of the config. */
  readonly vips: readonly VipStatus[];
  /** Of other parts, when the config asks for them. */
  readonly trackFile?: TrackStatus;
  readonly region?: unknown;
}

export interface TrackStatus {
  readonly file: string;
  /** What keepalived is to find there: 100 ready, 50 draining, 0 not ready; it stays what it was until the node has been heard. */
  readonly number: number;
}

export interface VipStatus {
  readonly vip: string;
  readonly state: Announcement;
  readonly since: string;
  readonly reason: string;
  /** Of its row in the kernel's table; absent when it has none. */
  readonly metric?: number;
  /** Those that are not ready, in the node's words; absent when all are. */
  readonly notReady?: readonly { readonly name: string; readonly reason: string }[];
}

/** Another part of the process that goes by what is announced; told once at the start, and whenever something of it has changed. */
export interface Follower {
  /** A failure is logged, and ends nothing. */
  changed(status: AnnounceStatus): void | Promise<void>;
}
