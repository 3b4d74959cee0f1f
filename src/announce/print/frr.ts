/**
 * Configs for FRR, tried with 8.4.4: of a forwarder and of a router. FRR exports rows from the main table only: its `ip import-table` keeps
 * one row a prefix and loses the VIP when either of two metrics goes, and does not know IPv6.
 */
import type { LoadedConfig } from '../../config/types.js';
import { ROUTE_TABLE_MAIN, ZEBRA_METRIC_MAX } from '../../core/limits.js';
import type { IpPrefix } from '../../packet/address.js';
import { type Bgp, bgpOf, LINUX_ROUTER, type PrintOptions, usage } from './options.js';

const PATHS_MAX = 16;
const LIST = { 4: 'ANYHOP-VIPS', 6: 'ANYHOP-VIPS6' } as const;
const IP = { 4: 'ip', 6: 'ipv6' } as const;

/** For a forwarder. @throws AnyhopError ERR_USAGE */
export function frrForwarder(config: LoadedConfig<'announce'>, options: PrintOptions): string {
  const { table, metric, drainMetric } = config.announce;
  if (table !== ROUTE_TABLE_MAIN)
    throw usage(
      `announce.table is ${table}, and FRR exports rows of the main table only`,
      'Set it in the config, announce: {table: main}, or use BIRD, which reads any table.',
    );
  if (drainMetric > ZEBRA_METRIC_MAX)
    throw usage(
      `announce.drain_metric is ${drainMetric}, of which FRR would take the first byte for a distance`,
      `Set announce.metric and announce.drain_metric to ${ZEBRA_METRIC_MAX} at most.`,
    );
  const bgp = bgpOf(config, options, 'forwarder', 'frr');
  return text([
    ...head(bgp),
    '! The config needs announce: {table: main}, and health checks of kind tunnel for IPv4 VIPs need net.ipv4.conf.*.rp_filter=0 with it.',
    '! Rows of VIPs are told from others by prefix and metric: the lists change with the VIPs, unless --prefix has named what VIPs are from.',
    '! zebra must be watched (watchfrr, as Debian has it): without zebra, bgpd keeps its routes and follows no row.',
    ...prefixLists(bgp),
    '!',
    '! A forwarder that drains says so (RFC 8326): the routers prefer the others. One origin, whatever the daemon, or there is no ECMP.',
    ...bgp.families.flatMap((family, i) => [
      `route-map ANYHOP-ROWS permit ${20 * i + 10}`,
      ` match ${IP[family]} address prefix-list ${LIST[family]}`,
      ` match metric ${drainMetric}`,
      ' set origin igp',
      ' set community graceful-shutdown',
      `route-map ANYHOP-ROWS permit ${20 * i + 20}`,
      ` match ${IP[family]} address prefix-list ${LIST[family]}`,
      ` match metric ${metric}`,
      ' set origin igp',
    ]),
    ...vipsOnly(bgp, 'ANYHOP-OUT'),
    'route-map ANYHOP-IN deny 10',
    '!',
    ...router(bgp, {
      own: [],
      ofFamily: 'redistribute kernel route-map ANYHOP-ROWS',
    }),
  ]);
}

/** For a router whose neighbours are the forwarders. @throws AnyhopError ERR_USAGE */
export function frrRouter(config: LoadedConfig<'announce'>, options: PrintOptions): string {
  const bgp = bgpOf(config, options, 'router', 'frr-router');
  return text([
    ...head(bgp),
    ...LINUX_ROUTER.map((line) => `! ${line}`),
    ...prefixLists(bgp),
    '!',
    '! GRACEFUL_SHUTDOWN: a forwarder that drains gets no traffic while another one announces the VIP.',
    'bgp community-list standard ANYHOP-DRAINS seq 5 permit graceful-shutdown',
    'route-map ANYHOP-IN permit 5',
    ' match community ANYHOP-DRAINS',
    ' set local-preference 0',
    ' on-match next',
    ...vipsOnly(bgp, 'ANYHOP-IN'),
    'route-map ANYHOP-OUT deny 10',
    '!',
    ...router(bgp, {
      // ECMP also over forwarders in different systems.
      own: [' bgp bestpath as-path multipath-relax'],
      ofFamily: `maximum-paths ${PATHS_MAX}`,
    }),
  ]);
}

function head({ head: lines, bfd }: Bgp): string[] {
  return [
    ...lines.map((line) => `! ${line}`),
    '! /etc/frr/daemons needs bgpd=yes and bfdd=yes. Restart bgpd together with bfdd: it does not renew its BFD sessions.',
    'frr defaults traditional',
    'log syslog informational',
    '!',
    'bfd',
    ' profile ANYHOP',
    `  detect-multiplier ${bfd.multiplier}`,
    `  receive-interval ${bfd.intervalMs}`,
    `  transmit-interval ${bfd.intervalMs}`,
    ' exit',
    'exit',
    '!',
  ];
}

function prefixLists(bgp: Bgp): string[] {
  return bgp.families.flatMap((family) => {
    const bits = family === 4 ? 32 : 128;
    const allowed = bgp.allowed(family);
    if (allowed.length === 0) return [`${IP[family]} prefix-list ${LIST[family]} seq 5 deny any`];
    return allowed.map(({ text: prefix, length }: IpPrefix, i) => {
      const longer = length === bits ? '' : ` ge ${bits}`;
      return `${IP[family]} prefix-list ${LIST[family]} seq ${5 * (i + 1)} permit ${prefix}${longer}`;
    });
  });
}

function vipsOnly(bgp: Bgp, map: string): string[] {
  return bgp.families.flatMap((family, i) => [
    `route-map ${map} permit ${10 * (i + 1)}`,
    ` match ${IP[family]} address prefix-list ${LIST[family]}`,
  ]);
}

/** Lines that only one side has. */
interface RouterParts {
  readonly own: readonly string[];
  readonly ofFamily: string;
}

/** The route maps ANYHOP-IN and ANYHOP-OUT must be there: without both, a session between two systems carries nothing (RFC 8212). */
function router({ asn, routerId, neighbors, families }: Bgp, { own, ofFamily }: RouterParts): string[] {
  return [
    '! Graceful restart is off: another forwarder can take any packet, so a stale route is worse than none.',
    `router bgp ${asn}`,
    ...(routerId === undefined ? [] : [` bgp router-id ${routerId}`]),
    ' no bgp default ipv4-unicast',
    ' bgp graceful-restart-disable',
    ...own,
    ' neighbor ANYHOP peer-group',
    ' neighbor ANYHOP bfd',
    ' neighbor ANYHOP bfd profile ANYHOP',
    ' neighbor ANYHOP timers 3 9',
    ' neighbor ANYHOP timers connect 1',
    ...neighbors.flatMap(({ address: { text: address }, asn: theirs }) => [
      ` neighbor ${address} remote-as ${theirs}`,
      ` neighbor ${address} peer-group ANYHOP`,
    ]),
    ...families.flatMap((each) => [
      ' !',
      ` address-family ipv${each} unicast`,
      `  ${ofFamily}`,
      ...neighbors
        .filter(({ address }) => address.family === each)
        .map(({ address }) => `  neighbor ${address.text} activate`),
      '  neighbor ANYHOP send-community',
      '  neighbor ANYHOP route-map ANYHOP-IN in',
      '  neighbor ANYHOP route-map ANYHOP-OUT out',
      ' exit-address-family',
    ]),
    'exit',
  ];
}

function text(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
