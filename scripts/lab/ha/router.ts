/**
 * The router's side of announcing: BIRD with a BGP session to each forwarder for each IP version, that spreads a VIP over all
 * forwarders that announce it (ECMP), gives a draining one no traffic (GRACEFUL_SHUTDOWN, RFC 8326), and drops one that falls
 * silent (BFD).
 */
import type { LinkAddresses } from '../topology.js';

export const ROUTER_AS = 64512;
export const FORWARDER_AS = 65010;
/** Three intervals without a packet end a session. */
export const BFD_INTERVAL_MS = 300;

export interface RouterOptions {
  readonly forwarders: readonly (LinkAddresses & { readonly name: string })[];
  /** What is taken from the forwarders; anything else is refused, as a router in front of others' machines must. */
  readonly vips: { readonly 4: readonly string[]; readonly 6: readonly string[] };
}

/** BIRD's configuration for the router. */
export function routerConfig({ forwarders, vips }: RouterOptions): string {
  const family = (version: 4 | 6): string => `
protocol kernel kernel${version} {
  merge paths yes limit 16;             # one row with all forwarders of a VIP
  netlink rx buffer 8388608;            # a thousand VIPs at once overflow the usual one
  ipv${version} { import none; export where source = RTS_BGP; };
}
filter vips${version} {
  if ! (net ~ [ ${vips[version].join(', ')} ]) then reject;
  if (65535, 0) ~ bgp_community then bgp_local_pref = 0;   # GRACEFUL_SHUTDOWN: any other forwarder is better
  accept;
}
template bgp forwarder${version} {
  local as ${ROUTER_AS};
  bfd on;
  graceful restart off;                 # another forwarder can take any packet: a stale row is worse than none
  connect delay time 1;
  connect retry time 1;
  error wait time 1, 2;
  ipv${version} { import filter vips${version}; export none; };
}
${forwarders
  .map(({ name, host4, host6 }) => {
    const address = version === 4 ? host4 : host6;
    return `protocol bgp ${name.replaceAll('-', '_')}_${version} from forwarder${version} { neighbor ${address} as ${FORWARDER_AS}; }`;
  })
  .join('\n')}
`;
  return `log stderr all;
router id 10.255.255.254;
protocol device { }
protocol bfd {
  interface "*" { interval ${BFD_INTERVAL_MS} ms; idle tx interval ${BFD_INTERVAL_MS} ms; multiplier 3; };
}
${family(4)}${family(6)}`;
}
