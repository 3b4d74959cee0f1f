/**
 * Configs for gdnsd, tried with 3.8.1: of the daemon and of a zone. Clients in the `nets` of a region get that region while it is up, and
 * one of the others by weight when it is not; all other clients get one of all regions by weight. Whatever gets into the text comes from
 * the validated config, or is checked here.
 */
import type { LoadedConfig } from '../../config/types.js';
import { AnyhopError } from '../../core/errors.js';
import { printable } from '../../core/printable.js';
import { VERSION } from '../../core/version.js';
import { type IpAddress, parseAddress } from '../../packet/address.js';
import { itemName, ofFamily, quoted, REGION_TTL_S, resourceOf, weightsFile } from './gdnsd-files.js';

type Config = LoadedConfig<'regions'>;

/** A choice by weight among all regions: a name that no region can have. */
const ANY = quoted('~any');

export interface ZoneOptions {
  /** Without the dot at its end. */
  readonly zone?: string;
  readonly nameServers?: readonly NameServer[];
}

export interface NameServer {
  readonly name: string;
  /** Of one below the zone, which the zone has to say. */
  readonly address: IpAddress | undefined;
}

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const DOMAIN = new RegExp(`^(?=.{1,200}$)${LABEL}(?:\\.${LABEL})*$`);

/** In lower case, without the dot at its end; undefined when it is none. */
export function parseZone(text: string): string | undefined {
  const zone = text.toLowerCase().replace(/\.$/, '');
  return DOMAIN.test(zone) ? zone : undefined;
}

/** `ns1.example.com=192.0.2.53`, or `ns1.example.net`; undefined when it is neither. */
export function parseNameServer(text: string): NameServer | undefined {
  const [, domain = '', addressText] = /^([^=]+)(?:=(.+))?$/.exec(text) ?? [];
  const name = parseZone(domain);
  const address = addressText === undefined ? undefined : parseAddress(addressText);
  if (name === undefined || (addressText !== undefined && address === undefined)) return undefined;
  return { name, address };
}

/** For /etc/gdnsd/config. */
export function gdnsdConfig(config: Config): string {
  const { regions, regionFile: file } = config.announce;
  const resources = hasNets(config) ? geoip(config) : '';
  return `${head(config, '#', 'gdnsd')}
# Regions: ${regions.map(({ name }) => name).join(', ')}. This file changes with the section announce.regions; health and weights do not change it.

options => {
  # Where to listen; default: all addresses, port 53.
  # listen => [ 192.0.2.53, "[2001:db8::53]:53" ]
  zones_default_ttl => ${REGION_TTL_S}
}

service_types => {
  # Which VIPs are up: "anyhop announce --region" writes it, and without it the last states stay. A VIP that is not in the file is down.
  anyhop => {
    plugin => extfile
    file => ${quoted(file)}
    direct => true
    interval => 2
    def_down => true
    def_ttl => ${REGION_TTL_S}
  }
}

plugins => {
  # One region by weight. The file has the weights; gdnsd reads it when it starts, and by "gdnsdctl replace".
  weighted => {
    service_types => anyhop
    up_thresh => 0.000001   # one region that is up is enough
    $include{${weightsFile(file)}}
  }
${resources}}
`;
}

function geoip({ announce: { regions } }: Config): string {
  const hosts = new Set(regions.flatMap(({ vips }) => vips.map(({ host }) => host)));
  const isPartial = regions.some(({ vips }) => new Set(vips.map(({ host }) => host)).size < hosts.size);
  const nets = regions.flatMap((region) =>
    region.nets.map(({ text }) => `        ${text} => [ ${quoted(region.name)}, ${ANY} ]\n`),
  );
  return `  # The region of the client's network, or of its resolver's (ECS), then another one by weight.
  geoip => {
${isPartial ? '    undefined_datacenters_ok => true   # not each host has each region; ~any has all\n' : ''}    maps => { clients => {
      datacenters => [ ${[ANY, ...regions.map(({ name }) => quoted(name))].join(', ')} ]
      nets => {
${nets.join('')}      }
    } }
    resources => {
${[...hosts].map((host) => geoipResource(host, regions)).join('')}    }
  }
`;
}

function geoipResource(host: string, regions: Config['announce']['regions']): string {
  const areas = regions.flatMap(({ name, vips: all }) => {
    const vips = all.filter((each) => each.host === host).map(({ vip }) => vip);
    const families = ([4, 6] as const).flatMap((family) => {
      const items = ofFamily(vips, family).map(
        (vip, index) => `${itemName(name, index)} => [ ${vip.text}, 1 ]`,
      );
      return items.length === 0 ? [] : `addrs_v${family} => { ${items.join(', ')} }`;
    });
    return families.length === 0 ? [] : `          ${quoted(name)} => { ${families.join(', ')} }\n`;
  });
  const resource = quoted(resourceOf(host));
  return `      ${resource} => {
        map => clients, plugin => weighted, service_types => anyhop, up_thresh => 0.000001
        dcmap => {
          ${ANY} => ${quoted(`%weighted!${resourceOf(host)}`)}
${areas.join('')}        }
      }
`;
}

/** For /etc/gdnsd/zones/ZONE. @throws AnyhopError ERR_USAGE for options that are missing or do not fit */
export function gdnsdZone(config: Config, { zone, nameServers = [] }: ZoneOptions): string {
  if (zone === undefined)
    throw usage('--zone is missing: the zone that the hosts are in', 'Give it: --zone example.com.');
  const [first] = nameServers;
  if (first === undefined)
    throw usage(
      '--name-server is missing: the DNS hosts of the zone',
      `Give it once for each: --name-server ns1.${zone}=192.0.2.53, or --name-server ns1.example.net.`,
    );
  const bare = nameServers.find(({ name, address }) => name.endsWith(`.${zone}`) && address === undefined);
  if (bare !== undefined)
    throw usage(
      `--name-server ${bare.name} is below the zone ${zone}, which needs its address`,
      `Give it: --name-server ${bare.name}=192.0.2.53.`,
    );
  const plugin = hasNets(config) ? 'geoip' : 'weighted';
  const hosts = new Set(config.announce.regions.flatMap(({ vips }) => vips.map(({ host }) => host)));
  const servers = new Set(nameServers.map(({ name }) => name));
  return `${head(config, ';', 'gdnsd-zone')}
$TTL ${REGION_TTL_S}
@  SOA ${first.name}. hostmaster ( 1 7200 1800 259200 ${REGION_TTL_S} )
${[...servers].map((name) => `@  NS ${name}.\n`).join('')}${nameServers.map(glue).join('')}
; Longest and shortest TTL, in seconds, and who answers.
${[...hosts].map((host) => `${host}  ${REGION_TTL_S}/${REGION_TTL_S} DYNA ${plugin}!${resourceOf(host)}\n`).join('')}`;

  function glue({ name, address }: NameServer): string {
    if (address === undefined || !name.endsWith(`.${zone}`)) return '';
    return `${name}.  ${address.family === 4 ? 'A' : 'AAAA'} ${address.text}\n`;
  }
}

function hasNets({ announce: { regions } }: Config): boolean {
  return regions.some(({ nets }) => nets.length > 0);
}

function head({ file }: Config, sign: string, format: string): string {
  return `${sign} Printed by "anyhop announce --print ${format}" ${VERSION}
${sign} from ${printable(file)}. docs/regions.md explains it.
`;
}

function usage(message: string, hint: string): AnyhopError {
  return new AnyhopError('ERR_USAGE', message, { hint });
}
