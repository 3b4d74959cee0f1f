/** How sources read members: servers of upstreams have ports; backends have none, since those of their services count. */
import { GROUP_KINDS, type GroupKind } from '../config/discover/kinds.js';

export interface Reading {
  readonly kind: GroupKind;
  /** Of servers of which the source says none. */
  readonly port?: number | undefined;
}

/** @param said by the source; 0 is none @throws Error for a server without one */
export function portOf(name: string, said: number | undefined, { kind, port }: Reading): { port?: number } {
  if (!GROUP_KINDS[kind].hasPorts) return {};
  const found = said === undefined || said === 0 ? port : said;
  if (found !== undefined) return { port: found };
  throw new Error(`${name}: the source says no port; set servers_from.port`);
}

/** The nearest weight that a member can have. */
export function weightWithin(weight: number, { kind }: Reading): number {
  return Math.min(GROUP_KINDS[kind].weightMax, Math.max(0, weight));
}
