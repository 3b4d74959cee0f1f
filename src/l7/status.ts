/** The status of a proxy host, as `anyhop l7 status` shows it: plain JSON. Names are stable; more may be added. */
import type { DiscoveryStatus } from '../api/status.js';
import type { Applied } from './api.js';
import type { Expiry } from './certificate-expiry.js';
import type { Stage } from './drain.js';
import type { Forwarder } from './forwarders.js';

export interface L7Status {
  readonly version: string;
  readonly startedAt: string;
  readonly configFile: string;
  readonly stage: Stage;
  readonly haproxy: HaproxyStatus;
  /** The last reload that was asked for; undefined before the first. */
  readonly lastReload?: {
    readonly at: string;
    readonly outcome: 'in force' | 'refused';
    /** How it came into force. */
    readonly applied?: Applied;
    readonly problems: readonly string[];
  };
  readonly drain?: DrainStatus;
  /** How long a drain waits for the forwarders, and then for connections. */
  readonly drainDeadlineMs: number;
  /** As the health check of the pool hears it. */
  readonly health: { readonly ok: boolean; readonly why?: string };
  /** What sources of servers say; absent where this host asks none. */
  readonly discovery?: readonly DiscoveryStatus[];
  readonly frontends: readonly FrontendStatus[];
  readonly upstreams: readonly UpstreamStatus[];
  readonly certificates: readonly CertificateStatus[];
}

export interface HaproxyStatus {
  readonly state: 'starting' | 'up' | 'restarting' | 'stopping' | 'stopped';
  /** Why it ended, while it is to be started again. */
  readonly why?: string;
  readonly version?: string;
  readonly pid?: number;
  /** Workers of former configs that still serve connections. */
  readonly oldWorkers: number;
  readonly restarts: number;
  readonly reloads: number;
  readonly failedReloads: number;
  /** Reloads at which the new worker did not get the sockets of the old one. */
  readonly failedTransfers: number;
  readonly connections?: number;
  readonly maxConnections?: number;
  /** Lines of the access log that nobody took in time, of the worker that serves. */
  readonly droppedLogs?: number;
}

export interface DrainStatus {
  readonly since: string;
  readonly deadline: string;
  /** Asked on this host, or by all forwarders. */
  readonly askedBy: 'host' | 'forwarders';
  /** Whether each drains this host; undefined when the agent does not answer. */
  readonly forwarders?: readonly Forwarder[];
  /** Connections that HAProxy still has. */
  readonly connections?: number;
  /** Once it is drained: connections that HAProxy cut off at its deadline. */
  readonly cutOff?: number;
}

export interface Requests {
  readonly sessions: number;
  readonly sessionRate: number;
  readonly requests?: number;
  readonly requestRate?: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** By class, `2xx`. */
  readonly responses: Readonly<Record<string, number>>;
}

export interface FrontendStatus extends Requests {
  readonly name: string;
  /** `203.0.113.10:443`. */
  readonly addresses: readonly string[];
  readonly routes: readonly { readonly match: string; readonly to: string }[];
}

export interface UpstreamStatus extends Requests {
  readonly name: string;
  /** Servers that get requests of new clients. */
  readonly usable: number;
  /** Servers that are neither draining nor of weight 0. */
  readonly active: number;
  /** Whether some server can answer: those too that are taken out for their errors, while panic puts them back. */
  readonly serves: boolean;
  /** Fewer than its threshold are up: all get requests. */
  readonly panic: boolean;
  readonly queued: number;
  readonly servers: readonly ServerStatus[];
}

export interface ServerStatus extends Requests {
  readonly name: string;
  readonly address: string;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  readonly health: 'up' | 'down' | 'unchecked' | 'unknown';
  /** Why it is down, or what its last check said while it goes down or comes up. */
  readonly why?: string;
  /** Percent of its weight, while it starts slowly. */
  readonly throttlePercent?: number;
  /** Seconds since its health is so. */
  readonly forSeconds?: number;
  readonly queued: number;
  readonly retries: number;
  readonly redispatches: number;
  /** Milliseconds, average of the last 1024 requests, and the greatest. */
  readonly times: {
    readonly queue?: number;
    readonly connect?: number;
    readonly response?: number;
    readonly total?: number;
    readonly maxTotal?: number;
  };
}

export interface CertificateStatus {
  readonly frontend: string;
  readonly file: string;
  readonly notAfter: string;
  /** It has expired, or does so within two weeks. */
  readonly expiry?: Expiry;
}
