/**
 * What the forwarders do with this host, by the reports of its agent: one report for each of its addresses. An agent forgets a forwarder
 * that is silent for three of its intervals. Its process may be dead, and its program in the kernel still send connections here; so it is
 * remembered for some minutes as one that has not followed.
 */
import { doAllDrain, haveAllFollowed } from '../agent/followed.js';
import { type AgentReport, fetchAgentReport } from '../agent/report.js';
import { AnyhopError } from '../core/errors.js';
import { FORWARDER_REMEMBERED_MS, FORWARDERS_HEARD_MAX } from '../core/limits.js';
import type { IpAddress } from '../packet/address.js';
import type { Forwarders } from './drain.js';

const REPORT_TIMEOUT_MS = 1_500;
/** An agent remembers as many for each address; a host has few addresses. */
const HEARD_MAX = 4 * FORWARDERS_HEARD_MAX;

export interface Forwarder {
  readonly address: string;
  /** It drains all addresses of this host. */
  readonly draining: boolean;
  /** It was heard in the last minutes, and is not any more. */
  readonly silent?: true;
}

/** By this host's address. */
export type Reports = ReadonlyMap<string, AgentReport>;

/** Of all addresses; undefined when one does not answer. */
export async function askAgent(locals: readonly IpAddress[], port: number): Promise<Reports | undefined> {
  try {
    const reports = locals.map(
      async ({ text }) => [text, await fetchAgentReport(text, port, REPORT_TIMEOUT_MS)] as const,
    );
    return new Map(await Promise.all(reports));
  } catch (error) {
    if (error instanceof AnyhopError) return undefined;
    throw error;
  }
}

export class KnownForwarders {
  /** When each was heard last, by this host's address and its own. */
  readonly #heard = new Map<string, { readonly address: string; readonly atMs: number }>();
  #reports: Reports | undefined;
  #nowMs = 0;

  /** @param reports undefined when the agent does not answer @param nowMs of a clock that only rises */
  take(reports: Reports | undefined, nowMs: number): void {
    this.#reports = reports;
    this.#nowMs = nowMs;
    for (const [local, { forwarders }] of reports ?? [])
      for (const { address } of forwarders) {
        const key = `${local} ${address}`;
        this.#heard.delete(key); // the one that was heard last is the last
        this.#heard.set(key, { address, atMs: nowMs });
      }
    for (const [key, { atMs }] of this.#heard) {
      if (nowMs - atMs <= FORWARDER_REMEMBERED_MS && this.#heard.size <= HEARD_MAX) break;
      this.#heard.delete(key);
    }
  }

  /** @param isAsked this host asks: what forwarders drained before that is no answer */
  do(isAsked: boolean): Forwarders {
    const reports = this.#reports;
    if (reports === undefined) return 'unknown';
    if (reports.size === 0) return 'none';
    const all = [...reports.values()];
    if (all.some(({ forwarders }) => forwarders.some(({ draining }) => !draining))) return 'some';
    if (this.#silent().length > 0) return 'unknown';
    const isDone = isAsked ? haveAllFollowed : doAllDrain;
    return all.every((report) => isDone(report)) ? 'all' : 'unknown';
  }

  /** Undefined when the agent does not answer. */
  list(): Forwarder[] | undefined {
    if (this.#reports === undefined) return undefined;
    const drains = new Map<string, boolean>();
    for (const { forwarders } of this.#reports.values())
      for (const { address, draining } of forwarders)
        drains.set(address, (drains.get(address) ?? true) && draining);
    const heard = [...drains].map(([address, draining]) => ({ address, draining }));
    const silent = new Set(this.#silent().filter((address) => !drains.has(address)));
    return [...heard, ...[...silent].map((address) => ({ address, draining: false, silent: true as const }))];
  }

  /** Whether the host asks by a mark, this program's or another one's; undefined when the agent does not answer. */
  isMarked(): boolean | undefined {
    return this.#reports && [...this.#reports.values()].some(({ draining }) => draining);
  }

  #silent(): string[] {
    return [...this.#heard.values()].flatMap(({ address, atMs }) => (atMs < this.#nowMs ? [address] : []));
  }
}
