/**
 * The routing daemons of the bench: on the forwarder one that exports the rows of anyhop, on the router one of the same kind. Both with
 * BFD of 3 times 100 ms, as docs/announcing.md advises, and without graceful restart.
 */

import { startBird } from '../../scripts/lab/ha/bird.js';
import { startFrr, withoutFrr } from '../../scripts/lab/ha/frr.js';
import type { Resources } from '../../scripts/lab/resources.js';
import type { Host } from '../../scripts/lab/topology.js';
import { missingForIsolation } from '../../test/isolation.js';

const ROUTER_AS = 64512;
const FORWARDER_AS = 65010;
/** BIRD reads any table. FRR 8.4 follows a change of metric only in the main one. */
const TABLE = 179;

export interface Daemon {
  readonly name: 'BIRD' | 'FRR';
  /** Why it cannot run here. */
  readonly missing: string | false;
  /** The routing table whose rows it exports. */
  readonly table: number | 'main';
  /** Starts both; resolves when their sessions are established. */
  start(resources: Resources, router: string, forwarder: Host): Promise<void>;
}

const SESSIONS_TIMEOUT_MS = 20_000;

export const BIRD: Daemon = {
  name: 'BIRD',
  missing: missingForIsolation('bird', 'birdc'),
  table: TABLE,
  async start(resources, router, forwarder) {
    const far = await startBird(resources, { name: 'router', namespace: router }, birdRouter(forwarder));
    await startBird(resources, forwarder, birdForwarder(forwarder));
    await far.untilEstablished(2, SESSIONS_TIMEOUT_MS);
  },
};

export const FRR: Daemon = {
  name: 'FRR',
  missing: missingForIsolation() || withoutFrr,
  table: 'main',
  async start(resources, router, forwarder) {
    const far = await startFrr(resources, { name: 'router', namespace: router }, frrRouter(forwarder));
    await startFrr(resources, forwarder, frrForwarder(forwarder));
    await far.untilEstablished(2, SESSIONS_TIMEOUT_MS);
  },
};

const BIRD_HEAD = `log stderr all;
protocol device { }
protocol bfd { interface "*" { interval 100 ms; multiplier 3; }; }
`;

function birdSession(version: 4 | 6, [own, ownAs]: End, [far, farAs]: End, channel: string): string {
  return `protocol bgp session${version} {
  local ${own} as ${ownAs};
  neighbor ${far} as ${farAs};
  bfd on;
  graceful restart off;
  connect delay time 1;
  ipv${version} { ${channel} };
}
`;
}

type End = readonly [address: string, as: number];

function birdForwarder({ host4, host6, router4, router6 }: Host): string {
  const family = (version: 4 | 6, own: string, far: string): string => `ipv${version} table vips${version};
protocol kernel rows${version} {
  kernel table ${TABLE};
  learn;
  netlink rx buffer 8388608;
  scan time 2;
  ipv${version} { table vips${version}; import all; export none; };
}
${birdSession(version, [own, FORWARDER_AS], [far, ROUTER_AS], `table vips${version}; import none; export all; next hop self;`)}`;
  return `${BIRD_HEAD}router id ${host4};\n${family(4, host4, router4)}${family(6, host6, router6)}`;
}

function birdRouter({ host4, host6, router4, router6 }: Host): string {
  const family = (version: 4 | 6, own: string, far: string): string => `protocol kernel kernel${version} {
  netlink rx buffer 8388608;
  ipv${version} { import none; export where source = RTS_BGP; };
}
${birdSession(version, [own, ROUTER_AS], [far, FORWARDER_AS], 'import all; export none;')}`;
  return `${BIRD_HEAD}router id ${router4};\n${family(4, router4, host4)}${family(6, router6, host6)}`;
}

function frr(own: Ends, ownAs: number, far: Ends, farAs: number, lines: string): string {
  const neighbor = (address: string): string => ` neighbor ${address} remote-as ${farAs}
 neighbor ${address} bfd 3 100 100
 neighbor ${address} timers connect 1
`;
  const family = (version: 4 | 6): string => ` address-family ipv${version} unicast
${lines}  neighbor ${far[version]} activate
 exit-address-family
`;
  return `router bgp ${ownAs}
 bgp router-id ${own[4]}
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 bgp graceful-restart-disable
${neighbor(far[4])}${neighbor(far[6])}${family(4)}${family(6)}`;
}

type Ends = Readonly<Record<4 | 6, string>>;

const forwarderEnd = ({ host4, host6 }: Host): Ends => ({ 4: host4, 6: host6 });
const routerEnd = ({ router4, router6 }: Host): Ends => ({ 4: router4, 6: router6 });

function frrForwarder(forwarder: Host): string {
  const [own, far] = [forwarderEnd(forwarder), routerEnd(forwarder)];
  return frr(own, FORWARDER_AS, far, ROUTER_AS, '  redistribute kernel\n');
}

function frrRouter(forwarder: Host): string {
  return frr(routerEnd(forwarder), ROUTER_AS, forwarderEnd(forwarder), FORWARDER_AS, '');
}
