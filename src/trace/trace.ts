/** One trace: the steps of a packet's way, in order, until one of them ends it. */
import type { NextHopStatus } from '../api/status.js';
import type { TraceReport } from '../api/trace.js';
import type { Endpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';
import { answerStep } from './answer.js';
import { decide, type Way } from './decide.js';
import { hopsStep } from './hops.js';
import { hostSteps } from './host.js';
import { mtuStep } from './mtu.js';
import type { Prober } from './prober.js';
import { secondChanceStep } from './second-chance.js';
import { type Step, type Trace, traceOf } from './step.js';
import { sendWatched } from './watched.js';

/** Two more hops, each of which the kernel does. */
const SECOND_CHANCE_WAIT_MS = 700;

export interface TraceOptions {
  readonly protocol: 'tcp' | 'udp';
  readonly vip: Endpoint;
  /** The backend that was asked for; undefined for the owner of the flow's slot. */
  readonly backend: string | undefined;
  readonly waitMs: number;
  /** Whether large packets are tried, too. */
  readonly mtu: boolean;
  /** Whether the routers on the way are asked for. */
  readonly hops: boolean;
  /** Whether the VIP is an address of this host: then no answer of IPv4 gets past its kernel. */
  readonly isVipLocal: boolean;
  /** Asks the node again. */
  readonly again: () => Promise<TraceReport>;
}

export async function trace(report: TraceReport, prober: Prober, options: TraceOptions): Promise<Trace> {
  const { steps, way } = decide(report, options.backend);
  const name = options.backend ?? report.answer.owner ?? null;
  if (way === undefined) return traceOf(name, steps);
  return traceOf(name, [...steps, ...(await probe(report, way, prober, options))]);
}

async function probe(report: TraceReport, way: Way, prober: Prober, options: TraceOptions): Promise<Step[]> {
  const { backend, outer } = way;
  const { protocol, vip, waitMs, mtu, hops } = options;
  // Also where nothing comes back: that is when one asks how far packets get.
  const routers = hops && protocol === 'tcp' ? await hopsStep(prober, outer, vip, waitMs) : undefined;
  const port = prober.nextPort();
  const question = { protocol, client: { address: prober.client, port }, vip };
  const watchers = backend.hasAgent ? [{ address: backend.address, port: report.agentPort }] : [];
  const { reply, told } = await sendWatched(watchers, question, () =>
    prober.send({ outer, vip, protocol, port, waitMs, againMs: waitMs / 2 }),
  );
  const isAnswered = reply.kind === 'answer';
  const { name, address } = backend;
  const host = told.flatMap((one) =>
    hostSteps({ name, address, told: one, outer, vip, protocol, client: prober.client, isAnswered }),
  );
  const steps = [
    ...(told.length === 0 ? [noAgent(name)] : host),
    answerStep(reply, port, host, prober, options),
  ];
  if (routers !== undefined) steps.push(routers);
  if (protocol !== 'tcp' || !isAnswered || (reply.flags & P.TCP_SYN) === 0) return steps;
  const chance = await secondChanceStep(report, way, prober, vip, Math.min(waitMs, SECOND_CHANCE_WAIT_MS));
  if (chance !== undefined) steps.push(chance);
  const { nextHop } = backend;
  const hopNow = async (): Promise<NextHopStatus | undefined> => {
    const now = (await options.again()).backends.find((each) => each.name === name)?.nextHop;
    return now === undefined || 'missing' in now ? undefined : now;
  };
  if (mtu && !('missing' in nextHop))
    steps.push(await mtuStep(prober, outer, vip, nextHop, reply.ms, hopNow));
  return steps;
}

function noAgent(name: string): Step {
  const text = `${name} runs no agent, by the config: only an answer tells what becomes of the probe`;
  return { step: 'agent', state: 'note', text };
}
