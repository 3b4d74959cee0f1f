/**
 * What `ip monitor` says of an interface, for who must hear at once that it is down. Reading all interfaces takes 50 ms and more, since
 * changes come in bursts. Only bad news is taken from here: routes and neighbours must be read anew before an interface that came up
 * is of use.
 */
import type { Link } from './link.js';

export interface SeenLink extends Pick<Link, 'index' | 'isUp' | 'hasCarrier'> {}

/** `[LINK]5: eth0@if4: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 ...`; not the end of an interface, which goes down before. */
const LINE = /^\[LINK\](\d+): \S+: <([^>]*)>/;

/** @param line of `ip monitor label`; undefined when it is about something else */
export function seenLink(line: string): SeenLink | undefined {
  const [, index, list] = LINE.exec(line) ?? [];
  if (index === undefined || list === undefined) return undefined;
  const flags = list.split(',');
  return { index: Number(index), isUp: flags.includes('UP'), hasCarrier: flags.includes('LOWER_UP') };
}

/**
 * @param links as they were read, by name
 * @param seen what was said since the read began, the latest last
 * @returns the same object when none has gone down
 */
export function withSeen(
  links: ReadonlyMap<string, Link>,
  seen: readonly SeenLink[],
): ReadonlyMap<string, Link> {
  const last = new Map(seen.map((one) => [one.index, one]));
  let changed: Map<string, Link> | undefined;
  for (const [name, link] of links) {
    const { isUp = true, hasCarrier = true } = last.get(link.index) ?? {};
    const now = { ...link, isUp: link.isUp && isUp, hasCarrier: link.hasCarrier && hasCarrier };
    if (now.isUp === link.isUp && now.hasCarrier === link.hasCarrier) continue;
    changed ??= new Map(links);
    changed.set(name, now);
  }
  return changed ?? links;
}
