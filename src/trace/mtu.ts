/** The step `mtu`: the largest packet that arrives through the tunnel, beside what the node believes and what its clients need. */
import { setTimeout as delay } from 'node:timers/promises';
import type { NextHopStatus } from '../api/status.js';
import type { Endpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';
import type { Outer } from './outer.js';
import { largestArriving } from './path-mtu.js';
import type { Prober } from './prober.js';
import type { Step } from './step.js';

/** Below this, TCP does not work well anyway (RFC 1122 section 3.3.3). */
const LEAST_BYTES = 576;
/** What most clients send. */
const USUAL_BYTES = 1500;
const WAIT_MS_MIN = 300;

/** The node hears what routers say, and makes an image of it. */
const LEARN_TRIES = 6;
const LEARN_PAUSE_MS = 250;

/**
 * @param roundTripMs of a probe that was answered, by which others are waited for
 * @param nextHop what the node says of the way by now
 */
export async function mtuStep(
  prober: Prober,
  outer: Outer,
  vip: Endpoint,
  { mtu: believed, learned }: NextHopStatus,
  roundTripMs: number,
  nextHop: () => Promise<NextHopStatus | undefined>,
): Promise<Step> {
  const route = learned?.routeMtu ?? believed;
  const headers = (vip.address.family === 4 ? P.IPV4_HEADER : P.IPV6_HEADER) + P.TCP_HEADER;
  const waitMs = Math.max(WAIT_MS_MIN, 4 * roundTripMs);
  const arrives = async (sizes: readonly number[]): Promise<Set<number>> => {
    const arrived = await Promise.all(
      sizes.map(async (size) => {
        const padding = size - outer.header.length - headers;
        const probe = { outer, vip, protocol: 'tcp', padding, waitMs, againMs: waitMs / 2 } as const;
        return (await prober.send(probe)).kind === 'answer' ? size : 0;
      }),
    );
    return new Set(arrived);
  };
  const found = await largestArriving(LEAST_BYTES, route, arrives);
  const about = { believed, route, overhead: outer.header.length, outer };
  if (found === undefined || found >= believed) return judge(found, { ...about, router: undefined });
  return judge(found, { ...about, router: heard(prober, outer, route) ?? (await learnt(nextHop)) });
}

interface Router {
  readonly address: string;
  readonly mtu: number;
}

function heard(prober: Prober, { destination }: Outer, route: number): Router | undefined {
  const said = prober
    .errorsAbout(destination)
    .findLast(({ kind, mtu }) => kind === 'too_big' && mtu > 0 && mtu < route);
  return said && { address: said.from.text, mtu: said.mtu };
}

/** By the node: with a prefix for a source, what routers say is for no address of this host, and only the node listens for that. */
async function learnt(nextHop: () => Promise<NextHopStatus | undefined>): Promise<Router | undefined> {
  for (let tries = 0; tries < LEARN_TRIES; tries++) {
    await delay(LEARN_PAUSE_MS);
    const hop = await nextHop();
    if (hop?.learned !== undefined) return { address: hop.learned.router, mtu: hop.mtu };
  }
  return undefined;
}

function judge(
  found: number | undefined,
  {
    believed,
    route,
    overhead,
    outer,
    router,
  }: {
    readonly believed: number;
    readonly route: number;
    readonly overhead: number;
    readonly outer: Outer;
    readonly router: Router | undefined;
  },
): Step {
  const step = 'mtu';
  const client = found === undefined ? null : found - overhead;
  const facts = { arrives: found ?? null, believed, route, client, router: router?.address ?? null };
  if (found === undefined)
    return {
      step,
      state: 'unknown',
      text: `a SYN is answered, and none of ${LEAST_BYTES} bytes or more: something on the way drops those with a payload, or everything large`,
      facts,
    };
  const fits = `packets of ${found} bytes arrive, of ${client} before they are wrapped`;
  const usual = client! >= USUAL_BYTES ? '' : `; clients that send ${USUAL_BYTES} are told what fits`;
  if (found === route)
    return { step, state: 'ok', text: `${fits}: all that the route allows${usual}`, facts };
  if (found >= believed)
    return {
      step,
      state: 'note',
      text: `${fits}, and the node keeps to ${believed}, which it has learned; the route says ${route}${usual}`,
      facts,
    };
  const lower = `ip route change ${outer.destination.text} via NEXT-HOP mtu ${found}`;
  if (router !== undefined)
    return {
      step,
      state: 'note',
      text: `${fits}, and the route says ${route}; router ${router.address} says so, from which the node learns it${usual}`,
      mend: `so that it need not be learned: ${lower}`,
      facts,
    };
  return {
    step,
    state: 'failed',
    text: `${fits}; larger ones vanish, and nobody says so, but the node sends up to ${believed}: large requests of clients hang`,
    mend: `${lower}, or raise the MTU of the link that drops them`,
    facts,
  };
}
