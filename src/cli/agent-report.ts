/** `anyhop agent --status`: the report of the agent on this host. */

import { backendAddresses } from '../agent/fleet.js';
import { type AgentReport, fetchAgentReport } from '../agent/report.js';
import { thisSystem } from '../agent/system.js';
import type { LoadedConfig } from '../config/types.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { amount } from '../core/figures.js';
import { printable } from '../core/printable.js';
import { clockTime, formatDuration } from '../core/time.js';
import type { IpAddress } from '../packet/address.js';
import { SEND_HINT } from '../underlay/veth.js';
import { columns, someOf } from './format.js';

const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Asks this host's agent, from the address that it listens on: a backend's, which may ask.
 * @throws AnyhopError ERR_ADDRESS when this host is no backend of the config; ERR_REPORT when no agent answers
 */
export async function ownReport(config: LoadedConfig<'agent'>): Promise<AgentReport> {
  let failure: AnyhopError | undefined;
  for (const { text } of ownAddresses(config)) {
    try {
      return await fetchAgentReport(text, config.agent.reportPort, ANSWER_TIMEOUT_MS);
    } catch (error) {
      if (!(error instanceof AnyhopError)) throw error;
      failure = new AnyhopError(error.code, error.message, {
        exitCode: EXIT.failure,
        hint: 'Is the agent running? Without it, its program on the interface keeps delivering, but nothing reports.',
        cause: error,
      });
    }
  }
  throw failure!;
}

/**
 * The addresses of this host that the config has as backends', one at least.
 * @throws AnyhopError ERR_ADDRESS when it has none
 */
export function ownAddresses(config: LoadedConfig<'agent'>): IpAddress[] {
  const own = new Set(thisSystem.addresses().map(({ text }) => text));
  const locals = backendAddresses(config).filter(({ text }) => own.has(text));
  if (locals.length > 0) return locals;
  throw new AnyhopError('ERR_ADDRESS', 'none of the backends in the config has an address of this host');
}

const RIGHT = new Set(['CONNECTIONS', 'PACKETS']);

export function drawReport(report: AgentReport): string {
  const { version, startedAt, vips, missingVips = [], verdicts, driver } = report;
  const services = vips.flatMap(({ vip, services }) =>
    Object.entries(services).map(([name, count]) => [name, vip, String(count)]),
  );
  const counted = Object.entries(verdicts).filter(([, packets]) => packets > 0);
  return `${[
    `anyhop ${printable(version)}, since ${clockTime(startedAt)}`,
    '',
    ...columns(['SERVICE', 'VIP', 'CONNECTIONS'], services, RIGHT),
    ...(missingVips.length === 0
      ? []
      : [`not on this host, so their packets are dropped (drop_vip_not_local): VIP ${someOf(missingVips)}`]),
    '',
    ...columns(
      ['VERDICT', 'PACKETS'],
      counted.map(([name, packets]) => [name, String(packets)]),
      RIGHT,
    ),
    ...drawDriver(driver),
    ...drawCookies(report.cookies),
    ...drawForwarders(report),
  ].join('\n')}\n`;
}

/** Who has followed; empty while this host does not ask to be drained. */
function drawForwarders({ draining, forwarders }: AgentReport): string[] {
  if (!draining) return [];
  const rows = forwarders.map((one) => [
    one.address,
    one.draining ? 'yes' : 'NO',
    `${Math.round(one.agoMs / 1_000)}s ago`,
    formatDuration(one.everyMs),
  ]);
  return [
    '',
    'this host asks to be drained',
    ...columns(['FORWARDER', 'DRAINS IT', 'ASKED', 'ASKS EVERY'], rows),
  ];
}

/** Whether it takes SYN cookies; empty for an agent that does not know of them. */
function drawCookies(cookies: AgentReport['cookies']): string[] {
  if (cookies === undefined) return [];
  return [
    '',
    cookies.ok
      ? `SYN cookies: accepted, of ${amount(cookies.keys.length, 'key')}`
      : `SYN cookies: NOT accepted: ${cookies.why}`,
  ];
}

/** Packets that the driver lost; empty without any. */
function drawDriver(driver: AgentReport['driver']): string[] {
  const { sendFailed = 0, missed = 0 } = driver ?? {};
  return [
    ...(sendFailed
      ? ['', `not sent by the driver: ${sendFailed}, of what is counted as sent_on. ${SEND_HINT}`]
      : []),
    ...(missed ? ['', `missed by the interface: ${missed}`] : []),
  ];
}
