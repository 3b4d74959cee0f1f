/** What the clients' program tells besides survive's journal: how long each handshake took. */
import type { ConnectionRecord } from '../survive/journal.js';
import type { TrafficPlan } from '../survive/traffic.js';

export interface ClientRecord extends ConnectionRecord {
  /** From the first SYN to the connection; null when there never was one. */
  readonly connectedMs: number | null;
}

/** What the clients are to do; short connections are for one request. */
export interface ClientPlan extends TrafficPlan {
  /** The clients' own. */
  readonly addresses: Readonly<Record<4 | 6, readonly string[]>>;
  /** Between two requests on a held connection. */
  readonly askEveryMs: number;
}
