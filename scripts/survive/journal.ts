/** What the client process tells of its connections, one JSON object a line. Times are milliseconds of the system's clock. */

/** A connection that has ended, in order or not. */
export interface ConnectionRecord {
  readonly event: 'connection';
  /** `held` from before the first event to after the last one; `short` for a few messages. */
  readonly kind: 'held' | 'short';
  readonly family: 4 | 6;
  /** The client's; the address is the same for all of a family. */
  readonly port: number;
  /** Who accepted it, `web-3/5f1c09`; null when nobody did. */
  readonly server: string | null;
  readonly openedAtMs: number;
  readonly endedAtMs: number;
  /** Answers, all right and in order. */
  readonly answers: number;
  /** What went wrong; null when it was closed in order. */
  readonly broken: string | null;
  /** Since when it went wrong: silence begins with what is not answered. */
  readonly brokenSinceMs: number | null;
}

/** What happened since the sample before. */
export interface Sample {
  readonly event: 'sample';
  readonly atMs: number;
  /** Connections that are open now. */
  readonly open: number;
  readonly answers: number;
  /** Connections that were opened for a few messages, and closed in order. */
  readonly shorts: number;
  readonly broken: number;
  /** The longest time that an answer took. */
  readonly slowestMs: number;
}

/** All held connections have had an answer. */
export interface Opened {
  readonly event: 'opened';
}

export type JournalLine = ConnectionRecord | Sample | Opened;

/** What names a connection to the router and to the tables: the client's addresses and the services' port are fixed. */
export type FlowName = `${4 | 6} ${number}`;

export function flowName({ family, port }: Pick<ConnectionRecord, 'family' | 'port'>): FlowName {
  return `${family} ${port}`;
}
