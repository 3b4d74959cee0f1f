/**
 * The step `hops`: the routers between here and the backend. Probes with rising TTL end at one router each, which says so (RFC 792, RFC
 * 4443); all leave at once, and each has a length of its own, by which the router's quote tells it from the others. Their outer headers
 * are the flow's, so they take its way where routers spread flows.
 *
 * They go before other probes: the kernel here answers a SYN-ACK with a RST, for which the first router sends a redirect where it routes
 * the VIP back to this node; and after a redirect Linux says nothing else for a second.
 */
import type { Endpoint } from '../packet/compose.js';
import type { Outer } from './outer.js';
import type { Prober } from './prober.js';
import type { Step } from './step.js';

/** Underlays are flat; more than this is a loop. */
const HOPS_MAX = 16;
/** For all of them: some never come back. */
const WAIT_MS_MAX = 700;

export async function hopsStep(prober: Prober, outer: Outer, vip: Endpoint, mostMs: number): Promise<Step> {
  const waitMs = Math.min(mostMs, WAIT_MS_MAX);
  const ttls = Array.from({ length: HOPS_MAX }, (_, i) => i + 1);
  const lengths = new Map<number, number>(); // of the IP packet, to TTL
  const replies = await Promise.all(
    ttls.map((ttl) => {
      const probe = { outer, vip, protocol: 'tcp', padding: ttl, ttl, waitMs } as const;
      lengths.set(prober.lengthOf(probe), ttl);
      return prober.send(probe);
    }),
  );
  const arrivedAt = replies.findIndex(({ kind }) => kind === 'answer') + 1; // 0: none
  const routers = new Map<number, string>();
  for (const { kind, from, quoted } of prober.errorsAbout(outer.destination)) {
    const ttl = lengths.get(quoted.length);
    if (kind === 'time_exceeded' && ttl !== undefined) routers.set(ttl, from.text);
  }
  return judge(routers, arrivedAt, outer);
}

function judge(routers: ReadonlyMap<number, string>, arrivedAt: number, { destination }: Outer): Step {
  const step = 'hops';
  const last = arrivedAt > 0 ? arrivedAt - 1 : Math.max(0, ...routers.keys());
  const hops = Array.from({ length: last }, (_, i) => routers.get(i + 1) ?? null);
  const facts = { hops, arrives: arrivedAt > 0 };
  const names = hops.map((router) => router ?? '(a router that says nothing)');
  if (arrivedAt > 0) return { step, state: 'ok', text: [...names, destination.text].join(' -> '), facts };
  const text =
    names.length === 0
      ? `no router on the way to ${destination.text} says anything`
      : `${names.join(' -> ')}, and nothing behind it`;
  return { step, state: 'unknown', text, facts };
}
