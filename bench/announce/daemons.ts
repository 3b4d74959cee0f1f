/**
 * The routing daemons of the bench: on the forwarder one that exports the rows of anyhop, on the router one of the same kind. Their configs
 * are those that `anyhop announce --print` writes, with BFD of 3 times 100 ms.
 */

import { run } from '../../scripts/lab/command.js';
import { startBird } from '../../scripts/lab/ha/bird.js';
import { startFrr, withoutFrr } from '../../scripts/lab/ha/frr.js';
import { type Lab, PROGRAM } from '../../scripts/lab/lab.js';
import type { Resources } from '../../scripts/lab/resources.js';
import type { Host } from '../../scripts/lab/topology.js';
import { missingForIsolation } from '../../test/isolation.js';

const ROUTER_AS = 64512;
const FORWARDER_AS = 65010;
const BFD = '3x100ms';
/** What all VIPs of the bench are from. */
const PREFIXES = ['198.18.0.0/16', '2001:db8:18::/64'];
/** BIRD reads any table. FRR 8.4 follows a change of metric only in the main one. */
const TABLE = 179;
const SESSIONS_TIMEOUT_MS = 20_000;

export interface Daemon {
  readonly name: 'BIRD' | 'FRR';
  /** Why it cannot run here. */
  readonly missing: string | false;
  /** The routing table whose rows it exports. */
  readonly table: number | 'main';
  /** Starts both on a lab whose config says what is announced; resolves when their sessions are established. */
  start(lab: Lab): Promise<void>;
}

export const BIRD: Daemon = {
  name: 'BIRD',
  missing: missingForIsolation('bird', 'birdc'),
  table: TABLE,
  start: (lab) => startBoth(lab, startBird, { forwarder: ['bird'], router: ['bird-router', ...vips()] }),
};

export const FRR: Daemon = {
  name: 'FRR',
  missing: missingForIsolation() || withoutFrr,
  table: 'main',
  start: (lab) =>
    startBoth(lab, startFrr, { forwarder: ['frr', ...vips()], router: ['frr-router', ...vips()] }),
};

function vips(): string[] {
  return PREFIXES.flatMap((prefix) => ['--prefix', prefix]);
}

type Start = (
  resources: Resources,
  machine: Pick<Host, 'name' | 'namespace'>,
  config: string,
) => Promise<{ untilEstablished(sessions: number, timeoutMs: number): Promise<void> }>;

/** @param formats of `--print`, with options */
async function startBoth(
  lab: Lab,
  start: Start,
  formats: { readonly forwarder: readonly string[]; readonly router: readonly string[] },
): Promise<void> {
  const forwarder = lab.forwarders[0]!;
  const { host4, host6, router4, router6 } = forwarder;
  const print = (
    [format = '', ...options]: readonly string[],
    asn: number,
    routerId: string,
    neighbors: string[],
  ): Promise<string> =>
    run([
      ...[process.execPath, PROGRAM, 'announce', '-c', lab.nodeFile(0), '--name', forwarder.name],
      ...['--print', format, ...options, '--asn', `${asn}`, '--router-id', routerId, '--bfd', BFD],
      ...neighbors.flatMap((neighbor) => ['--neighbor', neighbor]),
    ]);
  const ofRouter = await print(formats.router, ROUTER_AS, router4, [
    `${host4}=${FORWARDER_AS}`,
    `${host6}=${FORWARDER_AS}`,
  ]);
  const ofForwarder = await print(formats.forwarder, FORWARDER_AS, host4, [
    `${router4}=${ROUTER_AS}`,
    `${router6}=${ROUTER_AS}`,
  ]);
  const far = await start(lab.resources, { name: 'router', namespace: lab.router }, ofRouter);
  await start(lab.resources, forwarder, ofForwarder);
  await far.untilEstablished(2, SESSIONS_TIMEOUT_MS);
}
