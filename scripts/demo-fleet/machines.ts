/**
 * The machines of the demo, before anything runs on them. They count from 1, as their names do.
 *
 *                 BGP, BFD   +-- edge-1 --+
 *   client -- router --------+--   ...    |        store: etcd
 *                |           +-- edge-8 --+
 *                |
 *                +---------- web-1 ... web-6
 */
import { join } from 'node:path';
import { changeConfig } from '../lab/config.js';
import { createLabFleet, type LabFleet } from '../lab/fleet.js';
import { createLab, type Lab } from '../lab/lab.js';
import { backendAddresses, VIP4, VIP6 } from '../lab/topology.js';
import { HEALTH_PORT, SERVICE_PORT } from '../survive/traffic.js';

export const POOL = 'web';
const STOP_DELAY_MS = 500;
/** Less than the defaults, for the audience; and longer than the connections live, as a settle time has to be. */
const SETTLE_TIME = '3s';
const RISE = '1s';
const HEALTH = { kind: 'tcp', port: HEALTH_PORT, interval: '1s', timeout: '900ms', rise: 1, fall: 3 };

export interface Size {
  readonly forwarders: number;
  readonly backends: number;
}

export interface Machines {
  readonly lab: Lab;
  readonly members: LabFleet;
}

/** The config that is to be applied first has all backends but the last one, which is added later. */
export async function createMachines({ forwarders, backends }: Size): Promise<Machines> {
  const all = Array.from({ length: backends }, (_, i) => ({
    name: `web-${i + 1}`,
    address: backendAddresses(i + 1).host4,
    agent: true,
  }));
  const service = { port: SERVICE_PORT, backends: all, pool: POOL, secondChance: 'on' } as const;
  const lab = await createLab({
    forwarders,
    backends,
    engine: 'xdp',
    services: [
      { ...service, name: 'echo4', vip: VIP4 },
      { ...service, name: 'echo6', vip: VIP6 },
    ],
    pool: { settle_time: SETTLE_TIME, health: HEALTH },
    webServers: false,
    routed: false,
  });
  try {
    const members = await createLabFleet(lab);
    members.change(({ node, pools }) => {
      node.stop_delay = `${STOP_DELAY_MS}ms`;
      pools[POOL].backends.pop();
    });
    for (const host of lab.forwarders)
      changeConfig(members.fileOf(host), (config) => {
        const socket = join(lab.resources.directory, `${host.name}-announce.sock`);
        config.announce = { vips: [VIP4, VIP6], rise: RISE, socket };
      });
    return { lab, members };
  } catch (error) {
    await lab.close();
    throw error;
  }
}
