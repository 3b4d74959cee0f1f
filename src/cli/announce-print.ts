/** `anyhop announce --print`: the config of a routing daemon for this node, from the config file. */
import { InvalidArgumentError, Option } from 'commander';
import { FORMATS } from '../announce/print/formats.js';
import {
  type InterfaceAddress,
  PRIORITY_DEFAULT,
  PRIORITY_MAX,
  parseHost,
  parseInterfaceAddress,
  VRID_DEFAULT,
  VRID_MAX,
} from '../announce/print/keepalived.js';
import {
  BFD_DEFAULT,
  isAsn,
  type Neighbor,
  type PrintOptions,
  parseBfd,
  parseNeighbor,
} from '../announce/print/options.js';
import { type NameServer, parseNameServer, parseZone } from '../announce/region/print-gdnsd.js';
import { AnyhopError } from '../core/errors.js';
import { type IpAddress, type IpPrefix, parseAddress, parsePrefix } from '../packet/address.js';
import { aligned } from './format.js';
import { type ConfigOptions, loadFor, type NodeOptions, type StateOptions } from './options.js';
import { writeOut } from './output.js';

/** The values of `printOptions`, by the names that commander gives them. */
export interface PrintValues {
  readonly print: string;
  readonly asn?: number;
  readonly neighbor?: readonly Neighbor[];
  readonly routerId?: IpAddress;
  readonly bfd?: PrintOptions['bfd'];
  readonly prefix?: readonly IpPrefix[];
  readonly interface?: string;
  readonly address?: readonly InterfaceAddress[];
  readonly vips?: true;
  readonly peer?: readonly IpAddress[];
  readonly vrid?: number;
  readonly priority?: number;
  readonly localAddress?: readonly IpAddress[];
  readonly zone?: string;
  readonly nameServer?: readonly NameServer[];
}

/** Where packages and docs/systemd.md put it. */
const INSTALLED = '/usr/bin/anyhop';

/** What an option is called on the command line. */
const FLAGS: Readonly<Record<keyof PrintOptions, string>> = {
  asn: '--asn',
  neighbors: '--neighbor',
  routerId: '--router-id',
  bfd: '--bfd',
  prefixes: '--prefix',
  interface: '--interface',
  addresses: '--address',
  vips: '--vips',
  peers: '--peer',
  vrid: '--vrid',
  priority: '--priority',
  localAddresses: '--local-address',
  zone: '--zone',
  nameServers: '--name-server',
};

/** What it can print, for the end of the help text. */
export function formatsText(): string {
  return aligned(Object.entries(FORMATS).map(([name, { about }]) => [name, about]))
    .map((line) => `  ${line}`)
    .join('\n');
}

export function printOption(): Option {
  return new Option('--print <format>', 'write the config of another program: see the list below').choices(
    Object.keys(FORMATS),
  );
}

/** Those that go with --print, each kind under a heading of its own in the help text. */
export function printOptions(): Option[] {
  const under = (heading: string, options: readonly Option[]): Option[] =>
    options.map((option) => option.helpGroup(heading));
  return [
    ...under('With --print of a routing daemon:', sessionOptions()),
    ...under('With --print keepalived:', pairOptions()),
    ...under('With --print gdnsd-zone:', zoneOptions()),
  ];
}

/** Of BGP. */
function sessionOptions(): Option[] {
  return [
    new Option('--asn <n>', 'own autonomous system').argParser((text) => {
      if (/^\d{1,10}$/.test(text) && isAsn(Number(text))) return Number(text);
      throw new InvalidArgumentError('Expected the number of an autonomous system, such as 64513.');
    }),
    new Option(
      '--neighbor <address[=asn]>',
      'the other end of a BGP session; may be repeated; also with --feed exabgp',
    ).argParser((text, before: readonly Neighbor[] = []) => [
      ...before,
      parsed(
        text,
        parseNeighbor,
        'Expected ADDRESS or ADDRESS=ASN, such as 192.0.2.1=64512; no link-local address.',
      ),
    ]),
    new Option(
      '--router-id <address>',
      'BGP router ID; default on a forwarder: its IPv4 source address',
    ).argParser((text) =>
      parsed(
        text,
        (value) => {
          const address = parseAddress(value);
          return address?.family === 4 && address.text !== '0.0.0.0' ? address : undefined;
        },
        'Expected an IPv4 address.',
      ),
    ),
    new Option(
      '--bfd <timing>',
      `BIRD, FRR: packets missed and their interval; default: ${BFD_DEFAULT.multiplier}x${BFD_DEFAULT.intervalMs}ms`,
    ).argParser((text) => parsed(text, parseBfd, 'Expected NxTms, such as 3x300ms; 2x10ms to 255x60000ms.')),
    new Option(
      '--local-address <address>',
      'ExaBGP, GoBGP: own address on the link to the routers, one IPv4 and one IPv6 by repeating it; default: node.source',
    ).argParser((text, before: readonly IpAddress[] = []) => [
      ...before,
      parsed(text, parseAddress, 'Expected an IP address.'),
    ]),
    new Option(
      '--prefix <prefix>',
      'FRR, and routers: VIPs may come from it; may be repeated; default: the VIPs of the config',
    ).argParser((text, before: readonly IpPrefix[] = []) => [
      ...before,
      parsed(text, parsePrefix, 'Expected ADDRESS/LENGTH with no bits set after the prefix.'),
    ]),
  ];
}

/** Of an active-passive pair. */
function pairOptions(): Option[] {
  return [
    new Option('--interface <name>', 'segment of the two nodes and the router; default: node.interface'),
    new Option(
      '--address <address/length>',
      'gateway that floats between the nodes; may be repeated',
    ).argParser((text, before: readonly InterfaceAddress[] = []) => [
      ...before,
      parsed(
        text,
        parseInterfaceAddress,
        'Expected the address of a host with the length of its network, 10.9.0.1/24.',
      ),
    ]),
    new Option('--vips', 'the VIPs float themselves (node.local_vips)'),
    new Option('--peer <address>', 'the other node, once an IP version; default: multicast').argParser(
      (text, before: readonly IpAddress[] = []) => [
        ...before,
        parsed(text, parseHost, 'Expected the address of a host.'),
      ],
    ),
    new Option('--vrid <n>', `virtual router ID; default: ${VRID_DEFAULT}`).argParser((text) =>
      numberUpTo(text, VRID_MAX),
    ),
    new Option(
      '--priority <n>',
      `priority of a node that is not ready; default: ${PRIORITY_DEFAULT}`,
    ).argParser((text) => numberUpTo(text, PRIORITY_MAX)),
  ];
}

function zoneOptions(): Option[] {
  return [
    new Option('--zone <name>', 'the zone that the hosts are in').argParser((text) =>
      parsed(text, parseZone, 'Expected the name of a zone, such as example.com.'),
    ),
    new Option(
      '--name-server <name[=address]>',
      'a DNS host, with its address when its name is below the zone; may be repeated',
    ).argParser((text, before: readonly NameServer[] = []) => [
      ...before,
      parsed(text, parseNameServer, 'Expected ns1.example.com=192.0.2.53, or ns1.example.net.'),
    ]),
  ];
}

function numberUpTo(text: string, max: number): number {
  return parsed(
    text,
    (value) =>
      /^\d{1,3}$/.test(value) && Number(value) >= 1 && Number(value) <= max ? Number(value) : undefined,
    `Expected a whole number, 1 to ${max}.`,
  );
}

/** @throws ConfigError; AnyhopError ERR_USAGE for options that are missing or do not fit */
export async function printConfig(
  { print, neighbor, prefix, localAddress, address, peer, nameServer, ...values }: PrintValues,
  from: ConfigOptions & Pick<NodeOptions, 'name'> & StateOptions,
): Promise<void> {
  const format = FORMATS[print]!;
  const { asn, routerId, bfd, interface: link, vips, vrid, priority, zone } = values;
  const options: PrintOptions = {
    ...(asn !== undefined && { asn }),
    ...(neighbor && { neighbors: neighbor }),
    ...(routerId && { routerId }),
    ...(bfd && { bfd }),
    ...(prefix && { prefixes: prefix }),
    ...(link !== undefined && { interface: link }),
    ...(address && { addresses: address }),
    ...(vips && { vips }),
    ...(peer && { peers: peer }),
    ...(vrid !== undefined && { vrid }),
    ...(priority !== undefined && { priority }),
    ...(localAddress && { localAddresses: localAddress }),
    ...(zone !== undefined && { zone }),
    ...(nameServer && { nameServers: nameServer }),
  };
  const strange = (Object.keys(options) as (keyof PrintOptions)[]).find(
    (name) => !format.takes.includes(name),
  );
  if (strange !== undefined)
    throw new AnyhopError('ERR_USAGE', `${FLAGS[strange]} means nothing with --print ${print}`, {
      hint:
        format.takes.length === 0
          ? 'It takes no options.'
          : `It takes ${format.takes.map((name) => FLAGS[name]).join(', ')}.`,
    });
  const context = { program: ownProgram() };
  if (format.role === 'regions') writeOut((await format.load())(loadFor('regions', from), options, context));
  else writeOut((await format.load())(loadFor('announce', from), options, context));
}

/** The path by which this program was started, if the config of a daemon can name it without quotes. */
function ownProgram(): string {
  const [, path = ''] = process.argv;
  return /^\/[\w./-]+$/.test(path) ? path : INSTALLED;
}

function parsed<T>(text: string, parse: (text: string) => T | undefined, expected: string): T {
  const value = parse(text);
  if (value === undefined) throw new InvalidArgumentError(expected);
  return value;
}
