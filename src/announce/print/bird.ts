/**
 * Configs for BIRD 2, tried with 2.0.12: of a forwarder, which exports the rows that `anyhop announce` keeps, and of a router that spreads
 * traffic over the forwarders.
 */
import type { LoadedConfig } from '../../config/types.js';
import { ANNOUNCE_PROTOCOL, ROUTE_TABLE_MAIN, VIPS_MAX } from '../../core/limits.js';
import type { IpPrefix } from '../../packet/address.js';
import { type Bgp, bgpOf, LINUX_ROUTER, type PrintOptions } from './options.js';

/** ECMP on a router takes as many as this, or as there are neighbours. */
const PATHS_MIN = 16;

/** For a forwarder. @throws AnyhopError ERR_USAGE */
export function birdForwarder(config: LoadedConfig<'announce'>, options: PrintOptions): string {
  const bgp = bgpOf(config, options, 'forwarder', 'bird');
  const { announce, families, neighbors } = bgp;
  return `${head(bgp)}
${families.map((family) => `ipv${family} table anyhop${family};\n`).join('')}
# Rows of "anyhop announce" and of nobody else.
filter anyhop_rows {
  if krt_source != ${ANNOUNCE_PROTOCOL} || dest != RTD_BLACKHOLE then reject;
  accept;
}

# A forwarder that drains says so (RFC 8326): the routers prefer the others. One origin, whatever the daemon, or there is no ECMP.
filter anyhop_out {
  if source != RTS_INHERIT then reject;
  bgp_origin = ORIGIN_IGP;
  bgp_med = krt_metric;
  if krt_metric >= ${announce.drainMetric} then bgp_community.add((65535, 0));
  accept;
}

${kernelNote(announce.table)}${families.map((family) => kernelOfForwarder(family, announce.table)).join('')}
${template(bgp)}
${neighbors
  .map(
    ({ address: { family, text }, asn }, i) => `
protocol bgp anyhop_router${i + 1} from anyhop_bgp {
  neighbor ${text} as ${asn};
  ipv${family} { table anyhop${family}; import none; export filter anyhop_out; next hop self; };
}
`,
  )
  .join('')}`;
}

/** For a router whose neighbours are the forwarders. @throws AnyhopError ERR_USAGE */
export function birdRouter(config: LoadedConfig<'announce'>, options: PrintOptions): string {
  const bgp = bgpOf(config, options, 'router', 'bird-router');
  const { families, neighbors } = bgp;
  return `${head(bgp)}
${LINUX_ROUTER.map((line) => `# ${line}\n`).join('')}# ECMP: one route of the kernel with the next hops of all forwarders that announce the VIP.
# If bird.conf has a "protocol kernel" for the main table, give it these lines instead: two of them cannot share a table.
${families
  .map((family) => {
    const paths = Math.max(PATHS_MIN, neighbors.filter(({ address }) => address.family === family).length);
    return `protocol kernel anyhop_k${family} {
  merge paths yes limit ${paths};
  netlink rx buffer 8388608;
  ipv${family} { import none; export where source = RTS_BGP; };
}
`;
  })
  .join('')}
# GRACEFUL_SHUTDOWN: a forwarder that drains gets no traffic while another one announces the VIP.
${families
  .map(
    (family) => `filter anyhop_vips${family} {
  ${vipsOnly(bgp.allowed(family), family)}
  if (65535, 0) ~ bgp_community then bgp_local_pref = 0;
  accept;
}
`,
  )
  .join('')}
${template(bgp)}
${neighbors
  .map(
    ({ address: { family, text }, asn }, i) => `
protocol bgp anyhop_forwarder${i + 1} from anyhop_bgp {
  neighbor ${text} as ${asn};
  ipv${family} { import filter anyhop_vips${family}; export none; import limit ${VIPS_MAX} action block; };
}
`,
  )
  .join('')}`;
}

function head({ head: lines, routerId }: Bgp): string {
  return `${lines.map((line) => `# ${line}\n`).join('')}
# Once for the daemon: leave out what bird.conf has already.
log syslog { info, warning, error, fatal, bug };
${routerId === undefined ? '# router id 192.0.2.1;   # BIRD takes the lowest address of the host' : `router id ${routerId};`}
protocol device { scan time 5; }
protocol bfd { }
`;
}

function kernelNote(table: number): string {
  if (table !== ROUTE_TABLE_MAIN)
    return `# BIRD only reads table ${table}. The buffer holds a burst of all VIPs; with the default one, some would wait for the next scan.
`;
  return `# BIRD only reads the main table here. If bird.conf has a "protocol kernel" for it, give that one "learn", "netlink rx buffer" and the
# import filter instead: two of them cannot share a table. The buffer holds a burst of all VIPs; with the default one, some would wait.
`;
}

function kernelOfForwarder(family: 4 | 6, table: number): string {
  return `protocol kernel anyhop_k${family} {
${table === ROUTE_TABLE_MAIN ? '' : `  kernel table ${table};\n`}  netlink rx buffer 8388608;
  learn;
  scan time 2;
  ipv${family} { table anyhop${family}; import filter anyhop_rows; export none; };
}
`;
}

/** Graceful restart keeps the routes of a dead daemon; here any other forwarder can take the packets. */
function template({ asn, bfd: { multiplier, intervalMs } }: Bgp): string {
  return `# Graceful restart is off: another forwarder can take any packet, so a stale route is worse than none.
template bgp anyhop_bgp {
  local as ${asn};
  bfd { min rx interval ${intervalMs} ms; min tx interval ${intervalMs} ms; idle tx interval ${intervalMs} ms; multiplier ${multiplier}; };
  graceful restart off;
  long lived graceful restart off;
  hold time 9;
  connect delay time 1;
  connect retry time 2;
  error wait time 1, 8;
  # password "...";
}`;
}

function vipsOnly(prefixes: readonly IpPrefix[], family: 4 | 6): string {
  if (prefixes.length === 0) return 'reject;   # no VIP is of this IP version';
  const bits = family === 4 ? 32 : 128;
  const set = prefixes.map(({ text, length }) => (length === bits ? text : `${text}{${bits},${bits}}`));
  return `if net !~ [\n    ${set.join(',\n    ')}\n  ] then reject;`;
}
