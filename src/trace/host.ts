/** The steps `agent` and `host`: what the backend's agent took and its host answered, by what the agent saw of the probe itself. */
import { ProbeRefused, type ProbeReport, type SeenProbe } from '../agent/probe.js';
import { AGENT_VERDICTS } from '../core/layout.gen.js';
import type { IpAddress } from '../packet/address.js';
import { type Endpoint, formatEndpoint } from '../packet/compose.js';
import type { Outer } from './outer.js';
import type { Step } from './step.js';
import type { Told } from './watched.js';

const MEANINGS = new Map(AGENT_VERDICTS.map(({ name, description }) => [name, description]));
const ACTIONS = new Map(AGENT_VERDICTS.map(({ name, action }) => [name, action]));

export interface Watched {
  readonly name: string;
  readonly address: string;
  readonly told: Told;
  readonly outer: Outer;
  readonly vip: Endpoint;
  readonly protocol: 'tcp' | 'udp';
  readonly client: IpAddress;
  /** Whether an answer came back here, whoever sent it. */
  readonly isAnswered: boolean;
}

export function hostSteps(watched: Watched): Step[] {
  const { told } = watched;
  if (told instanceof ProbeRefused) return [refusedStep(told, watched)];
  const taken = agentStep(told, watched);
  return taken.state === 'failed' || told.seen === null ? [taken] : [taken, hostStep(told.seen, watched)];
}

/**
 * Verdicts of some kinds that the program gave: to the probe's own packets where the agent can tell, else to any, while the probe was on
 * its way.
 */
export function countedOf(
  { fate, verdicts }: Pick<ProbeReport, 'fate' | 'verdicts'>,
  ...actions: readonly string[]
): [name: string, count: number][] {
  const own = new Map<string, number>();
  for (const { verdict } of fate ?? []) own.set(verdict, (own.get(verdict) ?? 0) + 1);
  const counted = fate === null ? Object.entries(verdicts) : [...own];
  return counted.filter(([name]) => actions.includes(ACTIONS.get(name) ?? 'drop'));
}

export function cameIn({ seen }: ProbeReport): boolean {
  return seen?.some(({ direction }) => direction === 'in') ?? false;
}

function refusedStep({ why, message }: ProbeRefused, { outer, address, isAnswered }: Watched): Step {
  const step = 'agent';
  if (why === 'stranger')
    return {
      step,
      state: isAnswered ? 'note' : 'failed',
      text: message,
      mend: `on the backend: add ${outer.source.text} to agent.forwarders, then reload the agent`,
    };
  if (why !== 'absent') return { step, state: 'unknown', text: message };
  return {
    step,
    state: isAnswered ? 'note' : 'failed',
    text: `${message}${isAnswered ? '; its program on the interface delivers all the same' : ''}`,
    mend: `${isAnswered ? '' : `is the host there (ping ${address})? If so, `}on ${address}: systemctl status anyhop-agent, or: anyhop agent --check`,
  };
}

function agentStep(report: ProbeReport, { vip, outer, address, isAnswered }: Watched): Step {
  const { version, seen, fate, verdicts, vipIsLocal } = report;
  const step = 'agent';
  const facts = { version, seen, fate, verdicts, vipIsLocal };
  const delivered = countedOf(report, 'deliver').length > 0;
  if (cameIn(report) || (seen === null && delivered)) {
    const how =
      seen === null ? `by its counters; the packet itself cannot be seen: ${report.unseen}` : 'seen there';
    const link = seen?.find(({ direction }) => direction === 'in')?.interface;
    const text = `the agent ${version} took the probe and passed it to the host${link === undefined ? '' : ` on ${link}`} (${how})`;
    return { step, state: seen === null ? 'note' : 'ok', text, facts };
  }
  const dropped = countedOf(report, 'drop');
  if (dropped.length > 0) {
    const text = dropped.map(([name]) => `${name}: ${MEANINGS.get(name) ?? 'of another version'}`);
    const what = fate === null ? 'did not pass the probe on; meanwhile it counted' : 'dropped the probe:';
    return {
      step,
      state: 'failed',
      text: `the agent ${what} ${text.join('; ')}`,
      mend: mendOf(
        dropped.map(([name]) => name),
        vip,
        outer,
      ),
      facts,
    };
  }
  const missing = isAnswered
    ? 'yet an answer came: the packet did not go through this agent'
    : 'and counted nothing of the fleet: the probe did not arrive there';
  return {
    step,
    state: isAnswered ? 'note' : 'failed',
    text: `the agent saw nothing of the probe, ${missing}`,
    mend: `is IP protocol 47 (GRE) filtered between ${outer.source.text} and ${address}? On the backend: tcpdump -ni any ip proto 47 or ip6 proto 47`,
    facts,
  };
}

function mendOf(verdicts: readonly string[], { address }: Endpoint, { source }: Outer): string {
  if (verdicts.includes('drop_stranger'))
    return `on the backend: add ${source.text} to agent.forwarders, then reload the agent`;
  if (verdicts.includes('drop_vip_not_local'))
    return `on the backend: ip addr add ${address.text}/${address.family === 4 ? 32 : 128} dev lo`;
  if (verdicts.includes('drop_not_vip') || verdicts.includes('drop_no_service'))
    return "give the agent the node's config file, then reload the agent";
  return 'on the backend: anyhop agent --check';
}

function hostStep(seen: readonly SeenProbe[], { vip, protocol, client, isAnswered }: Watched): Step {
  const step = 'host';
  const { address, port } = vip;
  const out = seen.filter(({ direction }) => direction === 'out');
  const by = (one: SeenProbe): string => (one.interface === undefined ? '' : ` by ${one.interface}`);
  const refusal = out.find(({ kind }) => kind === 'RST' || kind === 'unreachable');
  const facts = { out };
  if (refusal !== undefined) {
    const listing = protocol === 'tcp' ? 'ss -ltn' : 'ss -lun';
    return {
      step,
      state: 'failed',
      text: `nothing listens on ${formatEndpoint(vip)}: the host answers ${refusal.kind === 'RST' ? 'RST' : 'port unreachable'}${by(refusal)}`,
      mend: `on the backend: ${listing} 'sport = ${port}': does the server listen on ${address.text}, or on all addresses?`,
      facts,
    };
  }
  const [answer] = out;
  if (answer !== undefined) {
    const back = isAnswered ? '' : `; on the backend: ip route get ${client.text} from ${address.text}`;
    return {
      step,
      state: 'ok',
      text: `a socket answers ${answer.kind}, which leaves${by(answer)}${back}`,
      facts,
    };
  }
  if (isAnswered)
    return {
      step,
      state: 'note',
      text: `an answer came from ${address.text}, and it did not leave from this host`,
      facts,
    };
  if (protocol === 'udp')
    return {
      step,
      state: 'ok',
      text: 'the host took the datagram and refuses nothing: something listens',
      facts,
    };
  return {
    step,
    state: 'failed',
    text: 'the host took the SYN and answers nothing',
    mend: "on the backend: a firewall (nft list ruleset), strict rp_filter, or a full queue of the server (nstat -az 'TcpExtListen*')",
    facts,
  };
}
