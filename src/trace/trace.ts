/** One trace: the steps of a packet's way, in order, until one of them ends it. */
import type { TraceReport } from '../api/trace.js';
import type { Endpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';
import { decide, type Way } from './decide.js';
import { mtuStep } from './mtu.js';
import type { Prober, Reply } from './prober.js';
import { type Step, type Trace, traceOf } from './step.js';

export interface TraceOptions {
  readonly protocol: 'tcp' | 'udp';
  readonly vip: Endpoint;
  /** The backend that was asked for; undefined for the owner of the flow's slot. */
  readonly backend: string | undefined;
  readonly waitMs: number;
  /** Whether large packets are tried, too. */
  readonly mtu: boolean;
}

export async function trace(report: TraceReport, prober: Prober, options: TraceOptions): Promise<Trace> {
  const { steps, way } = decide(report, options.backend);
  const name = options.backend ?? report.answer.owner ?? null;
  if (way === undefined) return traceOf(name, steps);
  return traceOf(name, [...steps, ...(await probe(way, prober, options))]);
}

async function probe({ backend, outer }: Way, prober: Prober, options: TraceOptions): Promise<Step[]> {
  const { protocol, vip, waitMs, mtu } = options;
  const reply = await prober.send({ outer, vip, protocol, waitMs, againMs: waitMs / 2 });
  const steps = [answerStep(reply, prober, options)];
  const { nextHop } = backend;
  if (mtu && protocol === 'tcp' && reply.kind === 'answer' && !('missing' in nextHop))
    steps.push(await mtuStep(prober, outer, vip, nextHop, reply.ms));
  return steps;
}

function answerStep(reply: Reply, { client }: Prober, { protocol, vip, waitMs }: TraceOptions): Step {
  const where = `${vip.address.text} port ${vip.port}`;
  const step = 'answer';
  if (reply.kind === 'unsent')
    return { step, state: 'failed', text: `the kernel here does not send the probe: ${reply.why}` };
  if (reply.kind === 'silence') {
    const text = `${where} does not answer ${client.text} within ${waitMs} ms`;
    return { step, state: protocol === 'udp' ? 'note' : 'failed', text };
  }
  const { flags, ttl, ms } = reply;
  const after = `after ${ms.toFixed(1)} ms${ttl === undefined ? '' : `, TTL ${ttl}`}`;
  const facts = { ms, ...(ttl !== undefined && { ttl }) };
  if (protocol === 'udp') return { step, state: 'ok', text: `a datagram from ${where} ${after}`, facts };
  if ((flags & P.TCP_SYN) !== 0) return { step, state: 'ok', text: `SYN-ACK from ${where} ${after}`, facts };
  return {
    step,
    state: 'failed',
    text: `${where} refuses connections: RST ${after}`,
    mend: `on the backend: ss -ltn 'sport = ${vip.port}': does the server listen on the VIP, or on all addresses?`,
    facts,
  };
}
