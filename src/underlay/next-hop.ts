/**
 * A next hop, as a pure function of a route, the interfaces and the neighbours.
 *
 *   backend --route--> interface --VLAN device?--> its parent and the tag
 *              |
 *              +--gateway, or the backend itself--> neighbour --> MAC address
 */
import { L } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';
import { formatMac } from '../packet/mac.js';
import type { Link } from './link.js';
import { type Neighbour, type NeighbourPlace, neighbourKey } from './neighbour.js';
import { type Answer, gatewayOf, type IpRoute, refusalOf, routeMtu } from './route.js';

/** Where to send packets for a backend. */
export interface NextHop {
  readonly reason?: undefined;
  /** What frames leave by; of a VLAN device its parent. */
  readonly interface: string;
  readonly interfaceIndex: number;
  /** `Link.kind` of that interface: not every engine can send through a bridge or a macvlan. */
  readonly kind: string | undefined;
  /** Six bytes each; zero where packets are not sent as frames. */
  readonly sourceMac: Uint8Array;
  readonly destinationMac: Uint8Array;
  /** VLAN identifier, 1 to 4094, of the tag that frames carry. */
  readonly vlan: number | undefined;
  /** At layer 3, in bytes, PATH_MTU_MIN to 65535. */
  readonly mtu: number;
}

/** There is none. */
export interface NoNextHop {
  /** For a log line, without a full stop. */
  readonly reason: string;
}

export interface KernelTables {
  /** By name. */
  readonly links: ReadonlyMap<string, Link>;
  /** By `neighbourKey`. */
  readonly neighbours: ReadonlyMap<string, Neighbour>;
}

export interface Traced {
  /** Undefined when the neighbour is not resolved. */
  readonly hop: NextHop | NoNextHop | undefined;
  /** The entry that the answer rests on; undefined when it does not come to that. */
  readonly neighbour: NeighbourPlace | undefined;
}

/** The largest packet there is: loopback has a larger MTU. */
const MTU_MAX = 65_535;
const NO_MAC = new Uint8Array(6);

/**
 * Follows a route to its next hop.
 * @param asFrames packets are sent as Ethernet frames; if not, the kernel wraps them, and tunnels will do as well
 */
export function traceNextHop(
  address: IpAddress,
  answer: Answer,
  tables: KernelTables,
  asFrames: boolean,
): Traced {
  const none = (reason: string): Traced => ({ hop: { reason }, neighbour: undefined });
  const refusal = refusalOf(answer);
  if (refusal !== undefined) return none(refusal);
  const route = answer as IpRoute;
  const link = tables.links.get(route.dev);
  if (link === undefined) return none(`its interface ${route.dev} is gone`);
  const out = asFrames ? frameLink(link, tables.links) : link;
  if (typeof out === 'string') return none(out);
  for (const each of new Set([link, out])) {
    if (!each.isUp) return none(`interface ${each.name} is down`);
    if (!each.hasCarrier) return none(`interface ${each.name} has no carrier`);
  }
  if (asFrames && route.encap !== undefined)
    return none(`its route wraps packets in ${route.encap}, which only the kernel does`);
  const mtu = Math.min(routeMtu(route, link), MTU_MAX);
  if (mtu < L.PATH_MTU_MIN)
    return none(`the route over ${link.name} has an MTU of ${mtu} bytes, below ${L.PATH_MTU_MIN}`);

  const hop = {
    interface: out.name,
    interfaceIndex: out.index,
    kind: out.kind,
    sourceMac: link.mac ?? NO_MAC,
    vlan: out === link ? undefined : link.vlan?.id,
    mtu,
  };
  if (link.mac === undefined) return { hop: { ...hop, destinationMac: NO_MAC }, neighbour: undefined };
  const neighbour = { interface: link.name, address: gatewayOf(route) ?? address };
  const entry = tables.neighbours.get(neighbourKey(neighbour));
  if (entry?.state === 'resolved') return { hop: { ...hop, destinationMac: entry.mac! }, neighbour };
  return { hop: undefined, neighbour };
}

/** What is said of a backend whose neighbour does not answer. */
export function unanswered(neighbour: NeighbourPlace, backend: IpAddress): NoNextHop {
  const isOnLink = neighbour.address.text === backend.text;
  const who = isOnLink ? 'it' : `its gateway ${neighbour.address.text}`;
  const what = neighbour.address.family === 4 ? 'ARP' : 'neighbour solicitations';
  return { reason: `${who} does not answer ${what} on ${neighbour.interface}` };
}

/** The same text for two that are the same in all. */
export function hopKey(hop: NextHop | NoNextHop): string {
  if (hop.reason !== undefined) return hop.reason;
  return `${formatHop(hop)} from ${formatMac(hop.sourceMac)} (${hop.interfaceIndex}, ${hop.kind})`;
}

/** `02:00:00:00:00:01 over eth0, MTU 1500`, with the VLAN if there is one. */
export function formatHop(hop: NextHop): string {
  const vlan = hop.vlan === undefined ? '' : `, VLAN ${hop.vlan}`;
  return `${formatMac(hop.destinationMac)} over ${hop.interface}${vlan}, MTU ${hop.mtu}`;
}

/** The interface that frames of `link` leave by, or why that cannot be done. */
function frameLink(link: Link, links: ReadonlyMap<string, Link>): Link | string {
  if (link.mac === undefined) return `interface ${link.name} is not Ethernet but of type ${link.type}`;
  if (link.vlan === undefined) return link;
  const { parent: parentName, protocol, id } = link.vlan;
  if (protocol !== '802.1Q' || id === 0)
    return `interface ${link.name} tags with ${protocol} and identifier ${id}: 802.1Q and 1 to 4094 can be sent`;
  const parent = parentName === undefined ? undefined : links.get(parentName);
  if (parent === undefined)
    return `the parent of VLAN interface ${link.name} is in another network namespace`;
  if (parent.vlan !== undefined)
    return `VLAN interface ${link.name} stands on another one, ${parent.name}: one tag is the most`;
  return parent;
}
