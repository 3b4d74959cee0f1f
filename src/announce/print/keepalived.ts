/**
 * A config for keepalived, tried with 2.2.7: a pair of forwarders of which one has the addresses, the better one by `announce.track_file`.
 *
 *   --address 10.9.0.1/24   a gateway floats, to which the router routes the VIPs
 *   --vips                  the VIPs float themselves (node.local_vips)
 */
import type { LoadedConfig } from '../../config/types.js';
import { VRRP_ADDRESSES_MAX, VRRP_PRIORITY_MAX } from '../../core/limits.js';
import { listed } from '../../core/listed.js';
import { printable } from '../../core/printable.js';
import { VERSION } from '../../core/version.js';
import { type IpAddress, type IpPrefix, parseAddress, prefixContains } from '../../packet/address.js';
import { TRACK_DRAINING, TRACK_READY } from '../track-number.js';
import { isLinkLocal, usage } from './options.js';

export const VRID_DEFAULT = 51;
export const VRID_MAX = 255;
/** High, since the peer of a node at fault takes over after (256 - priority)/256 of an advertisement's interval. */
export const PRIORITY_DEFAULT = VRRP_PRIORITY_MAX - TRACK_READY - 4;
/** So that a fault of 254 has its effect, and TRACK_READY is not clipped. */
export const PRIORITY_MAX = VRRP_PRIORITY_MAX - TRACK_READY;
const ADVERTISEMENT_S = 0.1;
const MULTICAST: readonly IpPrefix[] = [
  { address: parseAddress('224.0.0.0')!, length: 3, text: '224.0.0.0/3' },
  { address: parseAddress('ff00::')!, length: 8, text: 'ff00::/8' },
];
/** What keepalived reads as one word. */
const PLAIN_PATH = /^[A-Za-z0-9/._+@-]+$/;
const INTERFACE = /^[A-Za-z0-9._@-]{1,15}$/;

/** An address with the length of its network, as on an interface. */
export interface InterfaceAddress {
  readonly address: IpAddress;
  readonly length: number;
}

export interface KeepalivedOptions {
  /** The other node, once an IP version; multicast without it. */
  readonly peers?: readonly IpAddress[];
  /** Default: node.interface. */
  readonly interface?: string;
  /** Virtual router ID, 1 to 255. */
  readonly vrid?: number;
  /** 1 to PRIORITY_MAX. */
  readonly priority?: number;
  /** Gateways that float. */
  readonly addresses?: readonly InterfaceAddress[];
  /** The VIPs float. */
  readonly vips?: true;
}

/** `10.9.0.1/24`; undefined when it is malformed, or no address of a host. */
export function parseInterfaceAddress(text: string): InterfaceAddress | undefined {
  const [, addressText = '', lengthText = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const address = parseHost(addressText);
  const length = Number(lengthText);
  if (address === undefined || length < 1 || length > address.bytes.length * 8) return undefined;
  return { address, length };
}

/** Undefined when it is malformed, or no address of a host. */
export function parseHost(text: string): IpAddress | undefined {
  const address = parseAddress(text);
  const isHost =
    address?.bytes.some((byte) => byte > 0) && !MULTICAST.some((prefix) => prefixContains(prefix, address));
  return isHost ? address : undefined;
}

/** @throws AnyhopError ERR_USAGE for options that are missing or do not fit the config */
export function keepalivedPair(config: LoadedConfig<'announce'>, options: KeepalivedOptions): string {
  const { announce, place } = config;
  const link = linkOf(config, options);
  const trackFile = trackFileOf(config);
  const { vrid = VRID_DEFAULT, priority = PRIORITY_DEFAULT, peers = [] } = options;
  const floating = floatingAddresses(config, options, vrid);
  checkPeers(peers, floating);
  const name = `anyhop_${place.node.replaceAll(/[^A-Za-z0-9]/g, '_')}`;
  return `# Forwarder ${place.node}; printed by "anyhop announce --print keepalived" ${VERSION}
# from ${printable(config.file)}. docs/active-passive.md explains it.
# The other node has the same, with its own router_id${peers.length > 0 ? ' and the address of this one as unicast_peer' : ''}.

global_defs {
    router_id ${name}
    vrrp_version 3                  # intervals below a second
    max_auto_priority -1            # no notice about real-time scheduling
    vrrp_garp_master_delay 1        # neighbours are told again after 1 s,
    vrrp_garp_master_repeat 3
    vrrp_garp_master_refresh 60     # and every minute: heals one that missed it
}

# "anyhop announce" writes how good this node is: ${TRACK_READY} all VIPs announced, ${TRACK_DRAINING} draining, 0 none. It is added to the priority below.
# A file that is missing counts as 0. Its directory must be there when keepalived starts: keepalived does not notice one that is made later.
track_file anyhop {
    file ${trackFile}
    weight 1
}
${floating.map((each) => instance(each, { link, vrid, priority, peers })).join('')}${routerNote(announce.vips, floating, options)}`;
}

interface Floating {
  readonly family: 4 | 6;
  /** Link-local ones first. */
  readonly addresses: readonly InterfaceAddress[];
}

function instance(
  { family, addresses }: Floating,
  {
    link,
    vrid,
    priority,
    peers,
  }: { link: string; vrid: number; priority: number; peers: readonly IpAddress[] },
): string {
  const peer = peers.find((each) => each.family === family);
  const line = ({ address: { text }, length }: InterfaceAddress): string =>
    `        ${text}/${length} dev ${link}\n`;
  const [told, others] = [addresses.slice(0, VRRP_ADDRESSES_MAX), addresses.slice(VRRP_ADDRESSES_MAX)];
  return `
vrrp_instance anyhop${family} {
    state BACKUP                    # on both nodes: the priority decides
    interface ${link}
    virtual_router_id ${vrid}${' '.repeat(Math.max(14 - String(vrid).length, 1))}# the same on both nodes, and free on this segment
    priority ${priority}${' '.repeat(23 - String(priority).length)}# the same on both nodes: no move back. At most ${TRACK_DRAINING - 1} apart: the higher one moves back.
    advert_int ${ADVERTISEMENT_S}                  # s; the same on both nodes. After three missed ones the peer takes over.
    # Not nopreempt and not preempt_delay: a node would keep or get the addresses although the other one is better.
${peer === undefined ? '' : `    unicast_peer {\n        ${peer.text}\n    }\n`}    virtual_ipaddress {
${told.map(line).join('')}    }
${others.length === 0 ? '' : `    # Too many for one advertisement; they move with the others.\n    virtual_ipaddress_excluded {\n${others.map(line).join('')}    }\n`}    track_file {
        anyhop
    }
}
`;
}

function routerNote(
  vips: readonly IpAddress[],
  floating: readonly Floating[],
  options: KeepalivedOptions,
): string {
  if (options.vips) return '';
  const routes = vips.flatMap((vip) => {
    const via = floating.find(({ family }) => family === vip.family)?.addresses.at(-1);
    if (via === undefined) return [];
    const { text } = via.address;
    return [
      `#   ip route add ${vip.text}/${vip.bytes.length * 8} via ${text}${isLinkLocal(via.address) ? ' dev ...' : ''}\n`,
    ];
  });
  return `\n# On the router:\n${routes.join('')}`;
}

function linkOf({ place }: LoadedConfig<'announce'>, options: KeepalivedOptions): string {
  const link = options.interface ?? place.interface;
  if (link === undefined)
    throw usage(
      '--interface is missing, and so is node.interface',
      'Name the interface of the segment that the two nodes and the router share.',
    );
  if (!INTERFACE.test(link))
    throw usage(
      `keepalived would not read the interface ${printable(link)} as one word`,
      'Give the interface a name of letters, digits, ".", "_" and "-".',
    );
  return link;
}

function trackFileOf({ announce: { trackFile } }: LoadedConfig<'announce'>): string {
  if (trackFile === undefined)
    throw usage(
      'announce.track_file is missing: by this file keepalived knows how good the node is',
      'Add it to the config: announce: {track_file: /run/anyhop-track/priority}.',
    );
  if (!PLAIN_PATH.test(trackFile))
    throw usage(
      `keepalived would not read announce.track_file ${printable(trackFile)} as one word`,
      'Name a file whose path has letters, digits and "/", ".", "_", "+", "@", "-" only.',
    );
  return trackFile;
}

/** What floats, by IP version. IPv6 needs a link-local address before others (RFC 5798, section 5.2.9). */
function floatingAddresses(
  config: LoadedConfig<'announce'>,
  { addresses = [], vips }: KeepalivedOptions,
  vrid: number,
): Floating[] {
  const { announce, place } = config;
  if (addresses.length > 0 === (vips === true))
    throw usage(
      vips ? '--vips and --address are two kinds of pairs' : '--address is missing',
      'Give --address 10.9.0.1/24 for a gateway that the router routes the VIPs to, or --vips if the VIPs themselves float.',
    );
  if (vips && !place.localVips)
    throw usage(
      '--vips makes the VIPs addresses of the active node, which refuses them',
      'Set node.local_vips: true on both nodes, or let a gateway float: --address 10.9.0.1/24.',
    );
  const own = vips
    ? announce.vips.map((address) => ({ address, length: address.bytes.length * 8 }))
    : addresses;
  if (!vips) checkGateways(config, addresses);
  return ([4, 6] as const).flatMap((family) => {
    const all = own.filter(({ address }) => address.family === family);
    if (all.length === 0) return [];
    const near = all.filter(({ address }) => isLinkLocal(address));
    const far = all.filter(({ address }) => !isLinkLocal(address));
    const first = family === 6 && near.length === 0 ? [linkLocalOf(vrid)] : near;
    return [{ family, addresses: [...first, ...far] }];
  });
}

function checkGateways(
  { announce, place }: LoadedConfig<'announce'>,
  addresses: readonly InterfaceAddress[],
): void {
  const texts = addresses.map(({ address }) => address.text);
  const twice = texts.find((text, i) => texts.indexOf(text) < i);
  if (twice !== undefined) throw usage(`--address ${twice} is given twice`, 'Give each address once.');
  const vip = announce.vips.find(({ text }) => texts.includes(text));
  if (vip !== undefined)
    throw usage(
      `--address ${vip.text} is a VIP`,
      'Give --vips instead, for all VIPs, or the address of a gateway that the router routes them to.',
    );
  const source = [place.source4, place.source6].find((each) => each && texts.includes(each.address.text));
  if (source !== undefined)
    throw usage(
      `--address ${source.address.text} is node.source, which must stay on its node`,
      'Give an address that neither node has for itself.',
    );
  for (const family of [4, 6] as const) {
    const lost = announce.vips.filter((each) => each.family === family);
    if (lost.length === 0 || addresses.some(({ address }) => address.family === family)) continue;
    throw usage(
      `no --address is an IPv${family} address, so nobody could route ${listed(lost.map(({ text }) => text))} here`,
      `Give one as well: --address ${family === 4 ? '10.9.0.1/24' : 'fe80::1/64'}.`,
    );
  }
}

function checkPeers(peers: readonly IpAddress[], floating: readonly Floating[]): void {
  for (const family of [4, 6] as const) {
    const [peer, second] = peers.filter((each) => each.family === family);
    if (second !== undefined)
      throw usage(
        `--peer ${second.text} is a second IPv${family} address`,
        'A pair has two nodes: give one address of the other node for each IP version.',
      );
    if (peer === undefined) continue;
    if (family === 6 && !isLinkLocal(peer))
      throw usage(
        `--peer ${peer.text} is no link-local address, from which keepalived speaks over IPv6: both nodes would have the addresses`,
        'Give the link-local address of the other node (ip -6 addr show scope link), or leave it out: then multicast is used.',
      );
    const own = floating.find((each) => each.family === family);
    if (own === undefined)
      throw usage(`--peer ${peer.text} is IPv${family}, and nothing IPv${family} floats`, 'Leave it out.');
    if (own.addresses.some(({ address }) => address.text === peer.text))
      throw usage(`--peer ${peer.text} floats itself`, 'Give the address that the other node always has.');
  }
}

/** Of the virtual MAC address that VRRP has for this router: nobody else on the segment uses it. */
function linkLocalOf(vrid: number): InterfaceAddress {
  const address = parseAddress(`fe80::200:5eff:fe00:2${vrid.toString(16).padStart(2, '0')}`)!;
  return { address, length: 64 };
}
