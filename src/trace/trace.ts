/** One trace: the steps of a packet's way, in order, until one of them ends it. */
import type { TraceReport } from '../api/trace.js';
import type { Endpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';
import { decide, type Way } from './decide.js';
import { hostSteps } from './host.js';
import { mtuStep } from './mtu.js';
import type { Prober, Reply } from './prober.js';
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
}

export async function trace(report: TraceReport, prober: Prober, options: TraceOptions): Promise<Trace> {
  const { steps, way } = decide(report, options.backend);
  const name = options.backend ?? report.answer.owner ?? null;
  if (way === undefined) return traceOf(name, steps);
  return traceOf(name, [...steps, ...(await probe(report, way, prober, options))]);
}

async function probe(report: TraceReport, way: Way, prober: Prober, options: TraceOptions): Promise<Step[]> {
  const { backend, outer } = way;
  const { protocol, vip, waitMs, mtu } = options;
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
  const steps = [...(told.length === 0 ? [noAgent(name)] : host), answerStep(reply, host, prober, options)];
  if (protocol !== 'tcp' || !isAnswered || (reply.flags & P.TCP_SYN) === 0) return steps;
  const chance = await secondChanceStep(report, way, prober, vip, Math.min(waitMs, SECOND_CHANCE_WAIT_MS));
  if (chance !== undefined) steps.push(chance);
  const { nextHop } = backend;
  if (mtu && !('missing' in nextHop)) steps.push(await mtuStep(prober, outer, vip, nextHop, reply.ms));
  return steps;
}

function noAgent(name: string): Step {
  const text = `${name} runs no agent, by the config: only an answer tells what becomes of the probe`;
  return { step: 'agent', state: 'note', text };
}

function answerStep(
  reply: Reply,
  host: readonly Step[],
  { client }: Prober,
  { protocol, vip, waitMs }: TraceOptions,
): Step {
  const where = `${vip.address.text} port ${vip.port}`;
  const step = 'answer';
  if (reply.kind === 'unsent')
    return { step, state: 'failed', text: `the kernel here does not send the probe: ${reply.why}` };
  if (reply.kind === 'silence') {
    const text = `${where} does not answer ${client.text} within ${waitMs} ms`;
    const hasFailed = host.some(({ state }) => state === 'failed'); // and says why
    if (protocol === 'udp') {
      const needNot = `${text}; a UDP service need not answer an empty datagram`;
      return { step, state: 'note', text: needNot };
    }
    if (hasFailed) return { step, state: 'failed', text };
    const hasLeft = host.some(({ step, state }) => step === 'host' && state === 'ok');
    return {
      step,
      state: 'failed',
      text: hasLeft ? `${text}, although the answer left the backend: it is lost on the way back` : text,
      mend: hasLeft
        ? `is ${vip.address.text} filtered as a source on the way (uRPF), or here (sysctl net.ipv4.conf.all.rp_filter)?`
        : 'does the backend have a tunnel, the VIP, a server, and a route back?',
    };
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
