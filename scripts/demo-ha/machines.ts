/**
 * The machines of the demo, before anything runs on them. They count from 1, as their names do.
 *
 *                 BGP, BFD     +-- edge-1 --+ one segment: keepalived moves the
 *   client -- router ----------+-- edge-2 --+ gateways of two more VIPs between them
 *                |             +-- edge-3
 *                |
 *                +------------- web-1, web-2, web-3
 */
import { join } from 'node:path';
import { inNamespace, run } from '../lab/command.js';
import { changeConfig } from '../lab/config.js';
import { joinSegment } from '../lab/ha/segment.js';
import { createLab, type Lab } from '../lab/lab.js';
import { backendAddresses, type Host, VIP4, VIP6 } from '../lab/topology.js';
import { HEALTH_PORT, SERVICE_PORT } from '../survive/traffic.js';

export const FORWARDERS = 3;
export const BACKENDS = 3;
/** The forwarders of the segment; the first one is keepalived's master. */
export const PAIR = [1, 2] as const;
/** Routed to the gateway addresses that keepalived moves. */
export const PAIR_VIPS = { 4: '203.0.113.20', 6: '2001:db8:100::20' } as const;
export const GATEWAYS = { 4: '10.0.9.1', 6: 'fd00:0:9::1' } as const;
const SEGMENT = 'pair';
const SEGMENT_ROUTER = ['10.0.9.254/24', 'fd00:0:9::fe/64'];

export const STOP_DELAY_MS = 2_000;
/** Less than the default, for the audience. */
const RISE = '1s';
const CHECK_TIMING = { interval: '250ms', timeout: '200ms', rise: 1, fall: 3 };

export async function createFleetLab(): Promise<Lab> {
  const backends = numbers(BACKENDS).map((number) => ({
    name: `web-${number}`,
    address: backendAddresses(number).host4,
    agent: true,
  }));
  const service = { port: SERVICE_PORT, backends, pool: 'web', secondChance: 'on' } as const;
  const lab = await createLab({
    forwarders: FORWARDERS,
    backends: BACKENDS,
    engine: 'xdp',
    services: [
      { ...service, name: 'echo4', vip: VIP4 },
      { ...service, name: 'echo6', vip: VIP6 },
      { ...service, name: 'pair4', vip: PAIR_VIPS[4] },
      { ...service, name: 'pair6', vip: PAIR_VIPS[6] },
    ],
    pool: { health: { kind: 'tcp', port: HEALTH_PORT, ...CHECK_TIMING } },
    webServers: false,
    routed: false,
  });
  try {
    for (const [index, host] of lab.forwarders.entries())
      changeConfig(lab.nodeFile(index), (config) => {
        config.node.stop_delay = `${STOP_DELAY_MS}ms`;
        config.announce = {
          vips: [VIP4, VIP6],
          rise: RISE,
          socket: announceSocket(lab, host),
          track_file: trackFile(lab, host),
        };
      });
    const pair = PAIR.map((number) => lab.forwarders[number - 1]!);
    await joinSegment(lab.router, SEGMENT, pair, SEGMENT_ROUTER);
    for (const family of [4, 6] as const)
      await run(['ip', '-n', lab.router, 'route', 'add', PAIR_VIPS[family], 'via', GATEWAYS[family]]);
    const keep = ['sysctl', '-qw', 'net.ipv6.conf.all.keep_addr_on_down=1'];
    await Promise.all(lab.forwarders.map(({ namespace }) => run(inNamespace(namespace, keep))));
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

function announceSocket(lab: Lab, { name }: Host): string {
  return join(lab.resources.directory, `${name}-announce.sock`);
}

function trackFile(lab: Lab, { name }: Host): string {
  return join(lab.resources.directory, `${name}.track`);
}

/** 1 to `count`. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}
