/**
 * What a printed config needs to know and the config file does not say: autonomous systems, neighbours, timers. Everything that
 * gets into the text of a daemon's config comes from here or from the validated config: parsed addresses and bounded numbers, no free text.
 */
import type { AnnounceConfig } from '../../config/announce/types.js';
import type { LoadedConfig } from '../../config/types.js';
import { AnyhopError } from '../../core/errors.js';
import { BFD_INTERVAL_MS_MAX, BFD_INTERVAL_MS_MIN, BFD_MULTIPLIER_MAX } from '../../core/limits.js';
import { listed } from '../../core/listed.js';
import { printable } from '../../core/printable.js';
import { VERSION } from '../../core/version.js';
import { type IpAddress, type IpPrefix, parseAddress, prefixContains } from '../../packet/address.js';
import type { ZoneOptions } from '../region/print-gdnsd.js';
import type { KeepalivedOptions } from './keepalived.js';

/** Private numbers (RFC 6996): one for the routers, one that all forwarders share, so that routers merge their routes without more. */
const ROUTER_ASN = 64512;
const FORWARDER_ASN = 64513;
/** 0 and the last one are reserved (RFC 7607, RFC 7300), 23456 stands for numbers that an old router cannot write (RFC 6793). */
export const ASN_MAX = 4_294_967_294;
const AS_TRANS = 23456;
const LINK_LOCAL: IpPrefix = { address: parseAddress('fe80::')!, length: 10, text: 'fe80::/10' };

export interface Neighbor {
  readonly address: IpAddress;
  /** The default of its side when it is undefined. */
  readonly asn: number | undefined;
}

/** A neighbour is given up after `multiplier` intervals without a packet. */
export interface BfdTiming {
  readonly multiplier: number;
  readonly intervalMs: number;
}

/** As other programs have it by default. Shorter ones find a hang sooner, and take a busy machine for a dead one more often. */
export const BFD_DEFAULT: BfdTiming = { multiplier: 3, intervalMs: 300 };

export interface PrintOptions extends KeepalivedOptions, ZoneOptions {
  readonly asn?: number;
  readonly neighbors?: readonly Neighbor[];
  readonly routerId?: IpAddress;
  readonly bfd?: BfdTiming;
  /** VIPs may come from these; default: exactly those of the config. */
  readonly prefixes?: readonly IpPrefix[];
  /** Own ends of the sessions, one of each IP version at most. */
  readonly localAddresses?: readonly IpAddress[];
}

/** A config in which `anyhop` itself is started names this program, by its absolute path. */
export interface PrintContext {
  readonly program: string;
}

/** `ADDRESS` or `ADDRESS=ASN`; undefined when it is malformed. */
export function parseNeighbor(text: string): Neighbor | undefined {
  const [, addressText = '', asnText] = /^([^=]+)(?:=(\d{1,10}))?$/.exec(text) ?? [];
  const address = parseAddress(addressText);
  if (address === undefined || isLinkLocal(address)) return undefined;
  const asn = asnText === undefined ? undefined : Number(asnText);
  return asn === undefined || isAsn(asn) ? { address, asn } : undefined;
}

export function isLinkLocal(address: IpAddress): boolean {
  return prefixContains(LINK_LOCAL, address);
}

export function isAsn(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= ASN_MAX && value !== AS_TRANS;
}

/** `3x300ms`; undefined when it is malformed or out of bounds. */
export function parseBfd(text: string): BfdTiming | undefined {
  const match = /^(\d{1,3})x(\d{1,5})ms$/.exec(text);
  if (match === null) return undefined;
  const [multiplier, intervalMs] = [Number(match[1]), Number(match[2])];
  const isFine =
    multiplier >= 2 &&
    multiplier <= BFD_MULTIPLIER_MAX &&
    intervalMs >= BFD_INTERVAL_MS_MIN &&
    intervalMs <= BFD_INTERVAL_MS_MAX;
  return isFine ? { multiplier, intervalMs } : undefined;
}

/** Which end of a BGP session a config is for. */
export type Side = 'forwarder' | 'router';

/** What a config of a BGP daemon is made of. */
export interface Bgp {
  readonly announce: AnnounceConfig;
  readonly asn: number;
  /** Undefined at a router that chooses its own. */
  readonly routerId: string | undefined;
  readonly neighbors: readonly { readonly address: IpAddress; readonly asn: number }[];
  readonly bfd: BfdTiming;
  /** Those of the neighbours, 4 first. */
  readonly families: readonly (4 | 6)[];
  /** Prefixes that VIPs are from. */
  allowed(family: 4 | 6): readonly IpPrefix[];
  /** The first lines of the file, without the sign of a comment. */
  readonly head: readonly string[];
}

/**
 * @param format name of the format, for messages
 * @throws AnyhopError ERR_USAGE for what is missing or does not fit the config
 */
export function bgpOf(
  config: LoadedConfig<'announce'>,
  options: PrintOptions,
  side: Side,
  format: string,
): Bgp {
  const { announce } = config;
  const [own, others] = side === 'forwarder' ? [FORWARDER_ASN, ROUTER_ASN] : [ROUTER_ASN, FORWARDER_ASN];
  const asn = options.asn ?? own;
  const neighbors = (options.neighbors ?? []).map((each) => ({
    address: each.address,
    asn: each.asn ?? others,
  }));
  checkNeighbors(neighbors, asn, announce.vips, side, format);
  const prefixes = options.prefixes ?? announce.vips.map(hostPrefix);
  const outside = announce.vips.filter((vip) => !prefixes.some((prefix) => prefixContains(prefix, vip)));
  if (outside.length > 0)
    throw usage(
      `no --prefix contains ${listed(outside.map(({ text }) => text))}, which this config announces`,
      'Name prefixes for all VIPs, or leave --prefix out: then the VIPs of the config are allowed and no others.',
    );
  // A router has a name of its own, which is not the one that this host would have as a node.
  const who = side === 'forwarder' ? `The forwarder ${config.place.node}` : 'A router beside the forwarders';
  return {
    announce,
    asn,
    routerId: side === 'router' ? options.routerId?.text : routerIdOf(config, options),
    neighbors,
    bfd: options.bfd ?? BFD_DEFAULT,
    families: ([4, 6] as const).filter((family) =>
      neighbors.some(({ address }) => address.family === family),
    ),
    allowed: (family) => prefixes.filter(({ address }) => address.family === family),
    head: [
      `${who}; printed by "anyhop announce --print ${format}" ${VERSION}`,
      `from ${printable(config.file)}. docs/routing-daemons.md explains it.`,
    ],
  };
}

function checkNeighbors(
  neighbors: Bgp['neighbors'],
  asn: number,
  vips: readonly IpAddress[],
  side: Side,
  format: string,
): void {
  const peer = side === 'forwarder' ? 'router' : 'forwarder';
  const example = side === 'forwarder' ? '--neighbor 192.0.2.1=64512' : '--neighbor 192.0.2.11=64513';
  if (neighbors.length === 0)
    throw usage(
      `--neighbor is missing: --print ${format} needs the address of each ${peer}`,
      `Give it once for each ${peer} and IP version: ${example}.`,
    );
  const texts = neighbors.map(({ address }) => address.text);
  const twice = texts.find((text, i) => texts.indexOf(text) < i);
  if (twice !== undefined) throw usage(`--neighbor ${twice} is given twice`, 'Give each address once.');
  for (const { address, asn: theirs } of neighbors) {
    if (theirs === asn)
      throw usage(
        `--neighbor ${address.text} and this side are both in AS ${asn}; the printed configs are for sessions between two`,
        `Give another number: --asn N for this side, --neighbor ${address.text}=N for the ${peer}.`,
      );
  }
  for (const family of [4, 6] as const) {
    const lost = vips.filter((vip) => vip.family === family);
    if (lost.length === 0 || neighbors.some(({ address }) => address.family === family)) continue;
    throw usage(
      `no --neighbor has an IPv${family} address, so nobody would learn of ${listed(lost.map(({ text }) => text))}`,
      `Give the IPv${family} address of each ${peer} as well.`,
    );
  }
}

function routerIdOf({ place }: LoadedConfig<'announce'>, { routerId }: PrintOptions): string {
  if (routerId !== undefined) return routerId.text;
  const source = place.source4;
  if (source?.length === 32) return source.address.text;
  throw usage(
    source === undefined
      ? '--router-id is missing, and node.source has no IPv4 address to use for it'
      : `--router-id is missing, and node.source has ${source.text}, no single IPv4 address, to use for it`,
    'Give any IPv4 address that no other router of the site has as its router ID: --router-id 192.0.2.11.',
  );
}

export function hostPrefix(address: IpAddress): IpPrefix {
  const length = address.bytes.length * 8;
  return { address, length, text: `${address.text}/${length}` };
}

export function usage(message: string, hint: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', message, { hint });
}

/** What a Linux router needs besides its daemon, in lines without the sign of a comment. */
export const LINUX_ROUTER: readonly string[] = [
  'A Linux router also needs these sysctls; the second line hashes ports as well:',
  '  net.ipv4.ip_forward=1  net.ipv6.conf.all.forwarding=1',
  '  net.ipv4.fib_multipath_hash_policy=1  net.ipv6.fib_multipath_hash_policy=1',
  'The routes that BIRD and FRR install are no resilient next-hop groups: when a forwarder comes or goes, connections move between the',
  'forwarders, which costs anyhop nothing. Who needs them to stay takes a static route for the VIPs instead of BGP, such as:',
  '  ip nexthop add id 1 via 192.0.2.11 dev eth1; ip nexthop add id 2 via 192.0.2.12 dev eth2',
  '  ip nexthop add id 10 group 1/2 type resilient buckets 128 idle_timer 60; ip route add 203.0.113.0/24 nhid 10',
];

/**
 * The own address of sessions of an IP version: that of the option, or node.source.
 * @throws AnyhopError ERR_USAGE when there is none
 */
export function localAddress(
  { place }: LoadedConfig<'announce'>,
  { localAddresses = [] }: PrintOptions,
  family: 4 | 6,
): IpAddress {
  const given = localAddresses.find((each) => each.family === family);
  if (given !== undefined) return given;
  const source = family === 4 ? place.source4 : place.source6;
  if (source !== undefined && source.text === hostPrefix(source.address).text) return source.address;
  throw usage(
    `--local-address is missing: node.source has no single IPv${family} address for the sessions to the routers`,
    `Give the forwarder's IPv${family} address on the link to its routers: --local-address ${family === 4 ? '192.0.2.11' : '2001:db8::11'}.`,
  );
}
