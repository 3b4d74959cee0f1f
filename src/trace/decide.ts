/** The first steps of a trace, which send nothing: what the node decides, and what its engine makes of it. */
import type { TracedBackend, TraceReport } from '../api/trace.js';
import { wrap } from '../health/tunnel-packet.js';
import { type IpPrefix, parseAddress, parsePrefix } from '../packet/address.js';
import { type Endpoint, parseEndpoint } from '../packet/compose.js';
import { composeTcp } from '../packet/tcp.js';
import { type FrameFacts, type Outer, readFrame, readOuter } from './outer.js';
import type { Step } from './step.js';

/** Where probes go. */
export interface Way {
  readonly backend: TracedBackend;
  readonly outer: Outer;
}

export interface Decided {
  readonly steps: readonly Step[];
  /** Undefined when nothing can be sent. */
  readonly way: Way | undefined;
}

/** @param wanted the backend that was asked for; undefined for the owner of the flow's slot */
export function decide(report: TraceReport, wanted: string | undefined): Decided {
  const { answer, backends } = report;
  const name = wanted ?? answer.owner ?? undefined;
  const backend = backends.find((each) => each.name === name);
  const decision = decisionStep(report, backend, wanted);
  if (decision.state === 'failed' || backend === undefined) return { steps: [decision], way: undefined };
  const { nextHop } = backend;
  if ('missing' in nextHop) {
    const failed: Step = {
      step: 'encapsulate',
      state: 'failed',
      text: `no packet leaves for ${backend.name} (${backend.address}): ${nextHop.missing}`,
      mend: `ip route get ${backend.address}; ip neigh show ${backend.address}: is the machine there, on this link?`,
    };
    return { steps: [decision, failed], way: undefined };
  }
  const frame = report.frame === undefined ? undefined : readFrame(Buffer.from(report.frame, 'hex'));
  const isOfFlow = frame?.outer.destination.text === backend.address;
  const outer = isOfFlow ? frame!.outer : plainOuter(report, backend);
  if (outer === undefined) {
    const text = `the node has no source of the IP version of ${backend.address}`;
    return { steps: [decision, { step: 'encapsulate', state: 'failed', text }], way: undefined };
  }
  return {
    steps: [decision, encapsulationStep(report, backend, outer, isOfFlow ? frame : undefined)],
    way: { backend, outer },
  };
}

function decisionStep(
  { answer, source, destination, backends }: TraceReport,
  backend: TracedBackend | undefined,
  wanted: string | undefined,
): Step {
  const { verdict, meaning, service, slot, slots, owner } = answer;
  if (wanted !== undefined && backend === undefined && backends.length > 0)
    return {
      step: 'decide',
      state: 'failed',
      text: `the pool of ${destination} has no backend ${wanted}`,
      mend: `anyhop status --service ${service} lists its backends`,
    };
  if (slot === undefined || owner === undefined || backends.length === 0)
    return {
      step: 'decide',
      state: 'failed',
      text: `${verdict}: ${meaning}`,
      mend:
        verdict === 'drop_blocked'
          ? 'anyhop defend status lists what is blocked; anyhop defend allow ADDRESS spares one source'
          : 'anyhop status lists the services of this node, with VIPs and ports',
      facts: { verdict },
    };
  const place = `service ${service}, slot ${slot} of ${slots}`;
  const facts = { verdict, service, slot, owner, source };
  if (wanted === undefined || owner === wanted) {
    if (owner === null)
      return { step: 'decide', state: 'failed', text: `${place}, which no backend owns`, facts };
    const text = `${place}: ${owner} owns it${modeText(answer.mode)}${healthText(backend)}`;
    return { step: 'decide', state: backend?.health === 'up' ? 'ok' : 'note', text, facts };
  }
  const share = backend!.slots === 0 ? 'it owns no slot' : `it owns ${backend!.slots} of ${slots} slots`;
  const text = `service ${service}: no flow of this source is ${wanted}'s (${share})${healthText(backend)}; the probe goes there all the same`;
  return { step: 'decide', state: 'note', text, facts: { ...facts, slot: undefined } };
}

function modeText(mode: string | undefined): string {
  return mode === undefined || mode === 'normal' ? '' : ` (in mode ${mode})`;
}

function healthText(backend: TracedBackend | undefined): string {
  if (backend === undefined) return '';
  const { state, health, healthReason } = backend;
  const words = [
    ...(state === 'draining' ? ['it drains'] : []),
    ...(health === 'up' ? [] : [`its health check says ${health}: ${healthReason ?? 'no reason'}`]),
  ];
  return words.length === 0 ? '' : `; ${words.join('; ')}`;
}

function encapsulationStep(
  { engine, answer }: TraceReport,
  { name, nextHop }: TracedBackend,
  { source, destination, key }: Outer,
  frame: FrameFacts | undefined,
): Step {
  if ('missing' in nextHop) throw new RangeError('a backend without a next hop has no frame');
  const { interface: link, mac, vlan, mtu } = nextHop;
  const alternates = answer.owner === name ? (answer.key?.backends ?? []) : [];
  const keyText =
    key === undefined
      ? 'no key'
      : `key 0x${key.toString(16).padStart(8, '0')} (then ${alternates.join(', then ') || 'nobody known'})`;
  const where = `${link}, ${mac}${vlan === undefined ? '' : `, VLAN ${vlan}`}, MTU ${mtu}`;
  const facts = {
    source: source.text,
    destination: destination.text,
    key: key ?? null,
    alternates,
    interface: link,
    mac,
    mtu,
    byEngine: frame !== undefined,
  };
  const gre = `GRE ${source.text} -> ${destination.text}, ${keyText}, by ${where}`;
  if (frame === undefined)
    return {
      step: 'encapsulate',
      state: 'note',
      text: `${gre}; as the engine would write it, which has no flow for this backend`,
      facts,
    };
  if (frame.destinationMac !== mac || frame.vlan !== vlan)
    return {
      step: 'encapsulate',
      state: 'failed',
      text: `the engine ${engine} sends to ${frame.destinationMac}, and the next hop is ${mac}`,
      mend: 'anyhop status: is the latest image in force?',
      facts,
    };
  return { step: 'encapsulate', state: 'ok', text: `${gre}; made by the engine ${engine} itself`, facts };
}

/** As the packet side writes it, for a backend that no flow is known of. */
function plainOuter({ source4, source6 }: TraceReport, { address }: TracedBackend): Outer | undefined {
  const backend = parseAddress(address);
  const prefix = (text: string | undefined): IpPrefix | undefined =>
    text === undefined ? undefined : parsePrefix(text);
  if (backend === undefined || (backend.family === 4 ? source4 : source6) === undefined) return undefined;
  const nobody: Endpoint = parseEndpoint('192.0.2.1:1')!; // any packet: only its outer headers are kept
  const inner = composeTcp(nobody, nobody, { sequence: 0, acknowledgment: 0, flags: 0 });
  return readOuter(wrap({ source4: prefix(source4), source6: prefix(source6), backend }, inner, 0));
}
