/**
 * A forwarder's question about a probe of its own, and the agent's answer: what its program and its host did with it. The answer begins as
 * soon as the agent watches, so that the forwarder knows when to send. The question, of which the body says nothing, ends when the
 * forwarder has got what it waits for; then the answer ends, too.
 *
 *     forwarder                                                                  agent
 *     GET /probe?protocol=tcp&client=10.0.0.1:61234&vip=203.0.113.10:80&wait=5000 -->
 *                                                       <-- 200: it watches
 *     the probe, through the tunnel -->
 *     the end of the question -->
 *                                                       <-- what it has seen
 *
 * The question comes from another machine, and so does the answer: both are checked for shape and size.
 */
import { request } from 'node:http';
import { AnyhopError, EXIT } from '../core/errors.js';
import { isRecord } from '../core/is-record.js';
import { PROBE_SEEN_MAX, PROBE_WAIT_MS_MAX, PROBE_WAIT_MS_MIN } from '../core/limits.js';
import { Pieces } from '../core/pieces.js';
import { printable } from '../core/printable.js';
import { reasonOf } from '../core/reason.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../packet/compose.js';
import { P } from '../packet/constants.js';

export const PROBE_PATH = '/probe';

export interface ProbeQuestion {
  readonly protocol: 'tcp' | 'udp';
  /** The inner source of the probe. */
  readonly client: Endpoint;
  readonly vip: Endpoint;
  /** How long the agent watches at most, PROBE_WAIT_MS_MIN to PROBE_WAIT_MS_MAX. */
  readonly waitMs: number;
}

/** What a packet of the probe's flow is. */
const PROBE_KINDS = ['SYN', 'SYN-ACK', 'RST', 'ACK', 'datagram', 'unreachable', 'other'] as const;
export type ProbeKind = (typeof PROBE_KINDS)[number];

export interface SeenProbe {
  /** `in`: unwrapped, on its way to the host's sockets. `out`: the host sends it. */
  readonly direction: 'in' | 'out';
  readonly kind: ProbeKind;
  /** Of the interface that it came or left by; undefined when it has no name any more. */
  readonly interface?: string;
}

/** What the agent's program did with a packet of the probe. */
export interface ProbeFate {
  readonly kind: ProbeKind;
  readonly verdict: string;
}

export function kindOfFlags(flags: number): ProbeKind {
  if ((flags & P.TCP_RST) !== 0) return 'RST';
  if ((flags & P.TCP_SYN) !== 0) return (flags & P.TCP_ACK) !== 0 ? 'SYN-ACK' : 'SYN';
  return (flags & P.TCP_ACK) !== 0 ? 'ACK' : 'other';
}

export interface ProbeReport {
  /** Of anyhop. */
  readonly version: string;
  /** Packets of the probe's flow behind the agent's program, the oldest first; null when they cannot be seen, and why. */
  readonly seen: readonly SeenProbe[] | null;
  readonly unseen?: string;
  /** Of the probe's own packets; null while something else is captured there, and from agents that cannot tell. */
  readonly fate: readonly ProbeFate[] | null;
  /** Verdicts of the agent's program that were counted meanwhile, of any packets. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** Whether the VIP is an address of that host; null when the kernel does not say. */
  readonly vipIsLocal: boolean | null;
}

const VERSION_PATTERN = /^[\w.+-]{1,64}$/;
const INTERFACE_PATTERN = /^[^\s/\p{C}]{1,15}$/u;
const VERDICT_PATTERN = /^[a-z0-9_]{1,64}$/;
const VERDICTS_MAX = 1024;
const ANSWER_BYTES_MAX = 64 * 1024;
const QUOTED_CHARS_MAX = 200;
/** For the connection, beside the time that the agent watches. */
const MORE_MS = 1_500;

export function writeProbeQuestion({ protocol, client, vip, waitMs }: ProbeQuestion): string {
  return new URLSearchParams({
    protocol,
    client: formatEndpoint(client),
    vip: formatEndpoint(vip),
    wait: String(waitMs),
  }).toString();
}

/** Undefined for anything else. */
export function readProbeQuestion(query: string): ProbeQuestion | undefined {
  const given = new URLSearchParams(query);
  const protocol = given.get('protocol');
  const [client, vip] = ['client', 'vip'].map((name) => parseEndpoint(given.get(name) ?? ''));
  const wait = given.get('wait') ?? '';
  const waitMs = /^\d{1,5}$/.test(wait) ? Number(wait) : Number.NaN;
  if ((protocol !== 'tcp' && protocol !== 'udp') || client === undefined || vip === undefined)
    return undefined;
  if (client.address.family !== vip.address.family) return undefined;
  if (!(waitMs >= PROBE_WAIT_MS_MIN && waitMs <= PROBE_WAIT_MS_MAX)) return undefined;
  return { protocol, client, vip, waitMs };
}

/** Why an agent tells nothing about a probe. */
export class ProbeRefused extends AnyhopError {
  /**
   * `absent`: nobody listens there. `stranger`: the agent does not know this node as a forwarder. `busy`: it watches another probe.
   * `unknown`: it does not know the question, or the answer is none.
   */
  readonly why: 'absent' | 'stranger' | 'busy' | 'unknown';

  constructor(why: ProbeRefused['why'], message: string) {
    super('ERR_REPORT', message, { exitCode: EXIT.failure });
    this.why = why;
  }
}

/**
 * Asks an agent to watch a probe.
 * @param address of the backend in the underlay
 * @param watching is called as soon as the agent watches
 * @param done when it need not watch any longer
 * @throws ProbeRefused
 */
export function askAboutProbe(
  address: string,
  port: number,
  question: ProbeQuestion,
  watching: () => void,
  done: Promise<unknown>,
): Promise<ProbeReport> {
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const refused = (why: ProbeRefused['why'], text: string): ProbeRefused =>
    new ProbeRefused(why, `the agent at ${where} ${text}`);
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(question.waitMs + MORE_MS);
    const path = `${PROBE_PATH}?${writeProbeQuestion(question)}`;
    const headers = { 'transfer-encoding': 'chunked' };
    const asked = request({ host: address, port, path, headers, agent: false, signal }, (response) => {
      const { statusCode } = response;
      if (statusCode === 200) watching();
      const pieces = new Pieces(ANSWER_BYTES_MAX);
      const add = (part: Buffer): void => {
        if (pieces.add(part) === undefined) return;
        response.off('data', add);
        asked.destroy(new Error('the answer is too long'));
      };
      response.on('data', add);
      response.on('error', (error) => reject(refused('unknown', `breaks off: ${reasonOf(error)}`)));
      response.on('end', () => {
        const text = pieces.join().toString();
        if (statusCode === 200) {
          const report = parseProbeReport(text);
          if (report === undefined)
            reject(refused('unknown', 'sends something that is no report of a probe'));
          else resolve(report);
          return;
        }
        const quoted = printable(text.trim(), QUOTED_CHARS_MAX);
        reject(refused(whyOf(statusCode), `answers ${statusCode}: ${quoted}`));
      });
    });
    asked.on('error', (error: NodeJS.ErrnoException) => {
      const { code, name } = error;
      if (code === 'ECONNRESET')
        reject(refused('stranger', 'hangs up: it does not know this node as a forwarder'));
      else if (name === 'AbortError' || name === 'TimeoutError')
        reject(refused('absent', 'does not answer in time'));
      else reject(refused('absent', `does not answer: ${reasonOf(error)}`));
    });
    asked.flushHeaders();
    const end = (): void => void asked.end();
    done.then(end, end);
  });
}

function whyOf(status: number | undefined): ProbeRefused['why'] {
  if (status === 403) return 'stranger';
  return status === 429 ? 'busy' : 'unknown';
}

/** Undefined when a text is none. */
export function parseProbeReport(text: string): ProbeReport | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const { version, seen, unseen, fate = null, verdicts, vipIsLocal } = value;
  if (typeof version !== 'string' || !VERSION_PATTERN.test(version) || !isRecord(verdicts)) return undefined;
  if (seen !== null && !(Array.isArray(seen) && seen.length <= PROBE_SEEN_MAX && seen.every(isSeen)))
    return undefined;
  if (fate !== null && !(Array.isArray(fate) && fate.length <= PROBE_SEEN_MAX && fate.every(isFate)))
    return undefined;
  if (unseen !== undefined && typeof unseen !== 'string') return undefined;
  if (vipIsLocal !== null && typeof vipIsLocal !== 'boolean') return undefined;
  const counts = Object.entries(verdicts);
  const isCount = ([name, count]: [string, unknown]): boolean =>
    VERDICT_PATTERN.test(name) && Number.isSafeInteger(count) && (count as number) >= 0;
  if (counts.length > VERDICTS_MAX || !counts.every(isCount)) return undefined;
  return {
    version,
    seen:
      seen === null
        ? null
        : (seen as SeenProbe[]).map(({ direction, kind, interface: name }) => ({
            direction,
            kind,
            ...(name !== undefined && { interface: name }),
          })),
    ...(unseen !== undefined && { unseen: printable(unseen, QUOTED_CHARS_MAX) }),
    fate: fate === null ? null : (fate as ProbeFate[]).map(({ kind, verdict }) => ({ kind, verdict })),
    verdicts: Object.fromEntries(counts) as Record<string, number>,
    vipIsLocal,
  };
}

function isFate(value: unknown): value is ProbeFate {
  if (!isRecord(value)) return false;
  const { kind, verdict } = value;
  return (
    PROBE_KINDS.includes(kind as ProbeKind) && typeof verdict === 'string' && VERDICT_PATTERN.test(verdict)
  );
}

function isSeen(value: unknown): value is SeenProbe {
  if (!isRecord(value)) return false;
  const { direction, kind, interface: name } = value;
  return (
    (direction === 'in' || direction === 'out') &&
    PROBE_KINDS.includes(kind as ProbeKind) &&
    (name === undefined || (typeof name === 'string' && INTERFACE_PATTERN.test(name)))
  );
}
