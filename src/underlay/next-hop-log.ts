/**
 * Changes of next hops as log lines. Backends that change in the same way, say because they stand behind one gateway,
 * share a line; its fields name them all.
 */
import { listed } from '../core/listed.js';
import type { Logger } from '../core/log.js';
import type { IpAddress } from '../packet/address.js';
import { formatHop, hopKey, type NextHop, type NoNextHop } from './next-hop.js';

/** One address whose next hop is another than before. */
export interface NextHopChange {
  readonly address: IpAddress;
  /** Who has this address: `pool/backend`, in the order of the targets. */
  readonly names: readonly string[];
  /** Undefined when it had not been resolved before. */
  readonly before: NextHop | NoNextHop | undefined;
  readonly now: NextHop | NoNextHop;
}

/**
 * @param withoutHop what a backend without a next hop means to the caller, before its name: `second chance does not
 *   reach`; when not given, it counts as down
 */
export function logChanges(changes: readonly NextHopChange[], log: Logger, withoutHop?: string): void {
  const groups = new Map<string, NextHopChange[]>();
  for (const change of changes) {
    const key = `${change.before === undefined} ${hopKey(change.now)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [change]);
    else group.push(change);
  }
  for (const group of groups.values()) logGroup(group, log, withoutHop);
}

function logGroup(group: readonly NextHopChange[], log: Logger, withoutHop: string | undefined): void {
  const [{ before, now }] = group;
  const backends = group.flatMap(({ names, address }) => names.map((name) => `${name} (${address.text})`));
  const who = listed(backends);
  if (now.reason !== undefined) {
    const counts = backends.length === 1 ? 'it counts as down' : 'they count as down';
    const verb = backends.length === 1 ? 'has' : 'have';
    const message =
      withoutHop === undefined
        ? `${who} ${verb} no next hop: ${now.reason}: ${counts}`
        : `${withoutHop} ${who}: ${now.reason}`;
    log.warn({ event: 'no_next_hop', backends, reason: now.reason }, message);
  } else {
    const text = formatHop(now);
    const is = before === undefined ? 'is' : 'is now';
    log.info({ event: 'next_hop', backends, nextHop: text }, `next hop of ${who} ${is} ${text}`);
  }
}
