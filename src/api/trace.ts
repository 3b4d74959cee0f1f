/** What a node says of one flow for `anyhop trace`: where a packet goes, the very frame that its engine makes, and who may get it. */
import type { Explanation, Flow } from './api.js';
import type { Moment } from './in-force.js';
import type { BackendStatus } from './status.js';

export interface TraceQuestion extends Flow {
  /** Asks for a flow of this backend: by the first source port from the given one on, of TRACE_PORTS_MAX, that leads there. */
  readonly backend: string | undefined;
}

export interface TraceReport extends Moment {
  readonly engine: string;
  readonly interface: string;
  /** Of the node's process; absent in a node of a former version. */
  readonly pid?: number;
  /** `ADDRESS:PORT`; the port is another than the asked one where a backend was asked for and one was found. */
  readonly source: string;
  readonly destination: string;
  readonly answer: Explanation;
  /** What the engine in force sends for that packet, from the Ethernet header on, in hexadecimal digits; absent when it sends nothing. */
  readonly frame?: string;
  /** Of the node's outer packets: addresses or prefixes; absent for an IP version that it has none of. */
  readonly source4?: string;
  readonly source6?: string;
  /** TCP port of the agents' reports. */
  readonly agentPort: number;
  /**
   * Of the pool of the service, in the order of the file; empty when no service takes the packet. Where a backend was asked for, that one and
   * those that the key names.
   */
  readonly backends: readonly TracedBackend[];
}

export type TracedBackend = Pick<
  BackendStatus,
  | 'name'
  | 'address'
  | 'id'
  | 'hasAgent'
  | 'state'
  | 'health'
  | 'healthReason'
  | 'reachable'
  | 'agent'
  | 'nextHop'
  | 'slots'
>;
