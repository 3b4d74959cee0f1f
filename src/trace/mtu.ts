/** The step `mtu`: the largest packet that arrives through the tunnel, beside what the node believes and what its clients need. */
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

/** @param roundTripMs of a probe that was answered, by which others are waited for */
export async function mtuStep(
  prober: Prober,
  outer: Outer,
  vip: Endpoint,
  { mtu: believed, learned }: NextHopStatus,
  roundTripMs: number,
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
  return judge(found, { believed, route, overhead: outer.header.length, outer, prober });
}

function judge(
  found: number | undefined,
  {
    believed,
    route,
    overhead,
    outer,
    prober,
  }: { believed: number; route: number; overhead: number; outer: Outer; prober: Prober },
): Step {
  const facts = {
    arrives: found ?? null,
    believed,
    route,
    client: found === undefined ? null : found - overhead,
  };
  if (found === undefined)
    return {
      step: 'mtu',
      state: 'unknown',
      text: `a SYN is answered, and none of ${LEAST_BYTES} bytes or more: something on the way drops those with a payload, or everything large`,
      facts,
    };
  const fits = `packets of ${found} bytes arrive, of ${found - overhead} before they are wrapped`;
  const usual =
    found - overhead >= USUAL_BYTES ? '' : `; clients that send ${USUAL_BYTES} are told what fits`;
  if (found === route)
    return { step: 'mtu', state: 'ok', text: `${fits}: all that the route allows${usual}`, facts };
  const said = prober
    .errorsAbout(outer.destination)
    .findLast(({ kind, mtu }) => kind === 'too_big' && mtu > 0 && mtu < route);
  const router = said === undefined ? '' : `; router ${said.from.text} says ${said.mtu}`;
  if (found >= believed)
    return {
      step: 'mtu',
      state: 'note',
      text: `${fits}, and the node keeps to ${believed}; the route says ${route}${router}${usual}`,
      facts,
    };
  const lower = `ip route change ${outer.destination.text} via NEXT-HOP mtu ${found}`;
  if (said !== undefined)
    return {
      step: 'mtu',
      state: 'note',
      text: `${fits}, and the route says ${route}${router}: the node learns it from that router with the first large packet`,
      mend: `so that no packet is lost for it: ${lower}`,
      facts,
    };
  return {
    step: 'mtu',
    state: 'failed',
    text: `${fits}; larger ones vanish, and nobody says so, but the node sends up to ${believed}: large requests of clients hang`,
    mend: `${lower}, or raise the MTU of the link that drops them`,
    facts,
  };
}
