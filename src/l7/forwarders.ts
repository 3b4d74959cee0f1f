/** What the forwarders do with this host, by the reports of its agent: one report for each of its addresses. */
import { doAllDrain, haveAllFollowed } from '../agent/followed.js';
import { type AgentReport, fetchAgentReport } from '../agent/report.js';
import { AnyhopError } from '../core/errors.js';
import type { IpAddress } from '../packet/address.js';
import type { Forwarders } from './drain.js';

const REPORT_TIMEOUT_MS = 1_500;

export interface Forwarder {
  readonly address: string;
  readonly draining: boolean;
}

/** Of all addresses; undefined when one does not answer. */
export async function askAgent(
  locals: readonly IpAddress[],
  port: number,
): Promise<readonly AgentReport[] | undefined> {
  try {
    return await Promise.all(locals.map(({ text }) => fetchAgentReport(text, port, REPORT_TIMEOUT_MS)));
  } catch (error) {
    if (error instanceof AnyhopError) return undefined;
    throw error;
  }
}

/**
 * @param reports one for each address of this host; undefined when the agent does not answer
 * @param isAsked this host asks: what forwarders drained before that is no answer
 */
export function forwardersDo(reports: readonly AgentReport[] | undefined, isAsked: boolean): Forwarders {
  if (reports === undefined) return 'unknown';
  if (reports.length === 0) return 'none';
  if (reports.some(({ forwarders }) => forwarders.some(({ draining }) => !draining))) return 'some';
  const isDone = isAsked ? haveAllFollowed : doAllDrain;
  return reports.every((report) => isDone(report)) ? 'all' : 'unknown';
}

/** By address: whether each drains all addresses of this host. */
export function forwardersIn(reports: readonly AgentReport[]): Forwarder[] {
  const drains = new Map<string, boolean>();
  for (const { forwarders } of reports)
    for (const { address, draining } of forwarders)
      drains.set(address, (drains.get(address) ?? true) && draining);
  return [...drains].map(([address, draining]) => ({ address, draining }));
}
