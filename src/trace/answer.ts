/** The step `answer`: what the VIP answers, whether it comes back here, and over how many routers. */
import { took } from '../core/figures.js';
import { formatDuration } from '../core/time.js';
import { P } from '../packet/constants.js';
import type { Prober, Reply } from './prober.js';
import type { Step } from './step.js';
import type { TraceOptions } from './trace.js';

/** Hosts begin with one of these. */
const FIRST_TTLS = [64, 128, 255] as const;

/**
 * @param port the source port of the probe
 * @param host what the agent told
 */
export function answerStep(
  reply: Reply,
  port: number,
  host: readonly Step[],
  prober: Prober,
  { protocol, vip, waitMs, isVipLocal }: Pick<TraceOptions, 'protocol' | 'vip' | 'waitMs' | 'isVipLocal'>,
): Step {
  const where = `${vip.address.text} port ${vip.port}`;
  const step = 'answer';
  if (reply.kind === 'unsent')
    return { step, state: 'failed', text: `the kernel here does not send the probe: ${reply.why}` };
  if (reply.kind === 'silence') {
    const text = `${where} does not answer ${prober.client.text} within ${formatDuration(waitMs)}`;
    const hasFailed = host.some(({ state }) => state === 'failed'); // and says why
    const closed = prober
      .errorsAbout(vip.address)
      .find(({ kind, quoted }) => kind === 'unreachable' && quoted.first === port * 0x10000 + vip.port);
    if (protocol === 'udp' && closed !== undefined)
      return {
        step,
        state: 'failed',
        text: `${where} is closed: ${closed.from.text} says so`,
        mend: `on the backend: ss -lun 'sport = ${vip.port}': does the server listen on the VIP, or on all addresses?`,
      };
    if (protocol === 'udp') {
      const needNot = `${text}; a UDP service need not answer an empty datagram`;
      return { step, state: 'note', text: needNot };
    }
    if (isVipLocal && vip.address.family === 4) {
      const deaf = `${vip.address.text} is an address of this host, whose kernel drops packets from there`;
      return { step, state: 'unknown', text: `no answer can be seen: ${deaf}` };
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
  const after = `after ${took(ms)}${ttl === undefined ? '' : `, TTL ${ttl}: ${routersBack(ttl)} on the way back`}`;
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

function routersBack(ttl: number): string {
  const count = FIRST_TTLS.find((first) => first >= ttl)! - ttl;
  return count === 1 ? '1 router' : `${count} routers`;
}
