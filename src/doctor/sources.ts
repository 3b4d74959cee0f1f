/** The addresses that a node sends from: single ones, since no host has the addresses of a prefix. */
import type { IpAddress, IpPrefix } from '../packet/address.js';
import type { RouteSources } from '../underlay/route.js';
import type { Facts } from './facts.js';

export function sourcesOf({ node }: Facts): RouteSources {
  return { source4: single(node.source4), source6: single(node.source6) };
}

export function single(source: IpPrefix | undefined): IpAddress | undefined {
  return source?.length === (source?.address.family === 4 ? 32 : 128) ? source?.address : undefined;
}
