/** What several nodes say, brought together. */
import type { Traffic } from '../api/status.js';
import { listed } from '../core/listed.js';

export function sum(parts: Iterable<Traffic>): Traffic {
  let packets = 0;
  let bytes = 0;
  let packetsPerSecond = 0;
  let bytesPerSecond = 0;
  for (const part of parts) {
    packets += part.packets;
    bytes += part.bytes;
    packetsPerSecond += part.packetsPerSecond;
    bytesPerSecond += part.bytesPerSecond;
  }
  return { packets, bytes, packetsPerSecond, bytesPerSecond };
}

/** What several nodes say of the same thing, in the order in which the things are named first. */
export function gathered<S, T>(
  sources: readonly S[],
  things: (source: S) => Iterable<readonly [key: string, thing: T]>,
): Map<string, { readonly source: S; readonly thing: T }[]> {
  const all = new Map<string, { readonly source: S; readonly thing: T }[]>();
  for (const source of sources)
    for (const [key, thing] of things(source)) {
      const known = all.get(key);
      if (known === undefined) all.set(key, [{ source, thing }]);
      else known.push({ source, thing });
    }
  return all;
}

/** Groups in the order of their first members. */
export function groupedBy<T, K>(things: readonly T[], key: (thing: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const thing of things) {
    const at = key(thing);
    const group = groups.get(at);
    if (group === undefined) groups.set(at, [thing]);
    else group.push(thing);
  }
  return groups;
}

/** ` on edge-1, edge-2`: those on which something is so; nothing when it is so on all. */
export function where(nodes: readonly string[], all: number): string {
  return nodes.length === 0 || nodes.length >= all ? '' : ` on ${listed(nodes)}`;
}
