/** Neighbour discovery to a VIP that is an address of the host (RFC 4861): what is the host's, and what only looks like it. */
import { concat, fragment, frame, hopByHop, icmpv6, ipv6, type Layer, NODE_MAC, payload } from './build.js';
import { addressBytes } from './layer.js';

export interface Discovery {
  readonly name: string;
  readonly frame: Uint8Array;
}

interface Change {
  readonly type?: number;
  readonly code?: number;
  readonly hopLimit?: number;
  readonly src?: string;
  readonly payloadLength?: number;
  readonly between?: readonly Layer[];
  readonly vlans?: readonly number[];
  readonly dst?: string;
}

const NAMES = [
  'router solicitation',
  'router advertisement',
  'neighbour solicitation',
  'neighbour advertisement',
  'redirect',
];

/** With the VIP as target, as a solicitation has it. */
function discovery(vip: string, mac: string, change: Change = {}): Uint8Array {
  const {
    type = 135,
    code = 0,
    hopLimit = 255,
    src = 'fe80::2',
    between = [],
    vlans = [],
    dst = mac,
  } = change;
  const { payloadLength } = change;
  return frame(
    { dst, vlans },
    ipv6({ src, dst: vip, hopLimit, ...(payloadLength !== undefined && { payloadLength }) }),
    ...between,
    icmpv6({ type, code, rest: concat(new Uint8Array(4), addressBytes(vip)) }),
  );
}

/** Behind no tag, one and two, which Linux takes off itself; and from other addresses of the link. */
export function hostsDiscovery(vip: string, mac: string = NODE_MAC): Discovery[] {
  const types = NAMES.map((name, i) => ({ name, frame: discovery(vip, mac, { type: 133 + i }) }));
  return [
    ...types,
    { name: 'behind a tag', frame: discovery(vip, mac, { vlans: [0] }) },
    { name: 'behind two tags', frame: discovery(vip, mac, { vlans: [0, 0] }) },
    { name: 'from a global address', frame: discovery(vip, mac, { src: 'fd00::2' }) },
    { name: 'from the VIP itself', frame: discovery(vip, mac, { src: vip }) },
    { name: 'from the unspecified address', frame: discovery(vip, mac, { src: '::' }) },
  ];
}

/** All of it is dropped. */
export function nearlyDiscovery(vip: string, mac: string = NODE_MAC): Discovery[] {
  const cut = [payload(Uint8Array.of(135, 0, 0, 0, 0, 0, 0), 58)];
  return [
    { name: 'from beyond the link', frame: discovery(vip, mac, { hopLimit: 254 }) },
    { name: 'of code 1', frame: discovery(vip, mac, { code: 1 }) },
    { name: 'of type 132', frame: discovery(vip, mac, { type: 132 }) },
    { name: 'of type 138', frame: discovery(vip, mac, { type: 138 }) },
    { name: 'in a fragment', frame: discovery(vip, mac, { between: [fragment({ more: true })] }) },
    { name: 'in an atomic fragment', frame: discovery(vip, mac, { between: [fragment()] }) },
    { name: 'behind an extension header', frame: discovery(vip, mac, { between: [hopByHop()] }) },
    { name: 'for a group of machines', frame: discovery(vip, mac, { dst: '33:33:ff:00:00:10' }) },
    { name: 'behind three tags', frame: discovery(vip, mac, { vlans: [0, 0, 0] }) },
    {
      name: 'cut short',
      frame: frame({ dst: mac }, ipv6({ src: 'fe80::2', dst: vip, hopLimit: 255 }), ...cut),
    },
  ];
}
