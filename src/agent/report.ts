/**
 * What an agent reports over HTTP, and how to ask for it. An answer comes from another machine: it is read within limits of
 * bytes, pieces and time, and believed only when it has the right shape.
 */
import { request } from 'node:http';
import { NAME_PATTERN } from '../config/name-fields.js';
import { AnyhopError, EXIT } from '../core/errors.js';
import { isRecord } from '../core/is-record.js';
import { FORWARDERS_HEARD_MAX, VIPS_MAX } from '../core/limits.js';
import { Pieces } from '../core/pieces.js';
import { printable } from '../core/printable.js';
import { reasonOf } from '../core/reason.js';
import { formatDuration } from '../core/time.js';
import { parseAddress } from '../packet/address.js';
import { FORWARDER_HEADER, type Question, writeQuestion } from './question.js';

export const REPORT_PATH = '/report';
/** Of an answer that is no report. */
const QUOTED_CHARS_MAX = 200;
const VERSION_PATTERN = /^[\w.+-]{1,64}$/;
const TIME_PATTERN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const VERDICT_PATTERN = /^[a-z0-9_]{1,64}$/;
/** Verdicts that a report may have: many more than any version has. */
const VERDICTS_MAX = 1024;
const FINGERPRINT_PATTERN = /^[0-9a-f]{16}$/;
/** Keys whose cookies an agent accepts: the present one, the former one, and one that a reload has just taken away. */
const COOKIE_KEYS_MAX = 4;
const WHY_CHARS_MAX = 300;
/** A report on 4096 services, each with a VIP of its own that the host lacks, has some 1 MB. */
const REPORT_BYTES_MAX = 1536 * 1024;

export interface AgentReport {
  /** Of anyhop. */
  readonly version: string;
  /** When the agent's process started, in ISO 8601. */
  readonly startedAt: string;
  /** Those that have connections to count, in the order of the agent's config. */
  readonly vips: readonly VipReport[];
  /** VIPs of its host's backends that the host does not have, so that it drops their packets; in canonical text. Absent in reports of versions before. */
  readonly missingVips?: readonly string[];
  /** Packets by verdict, since the program was put on the interface. */
  readonly verdicts: Readonly<Record<string, number>>;
  /**
   * Since the agent's process started: packets that the driver refused although the program counts them as sent on, and packets that
   * it had no room for; null where that is unknown. Agents that look at no driver leave it out.
   */
  readonly driver?: DriverReport;
  /** Whether this host takes SYN cookies of the fleet. Absent in reports of versions before: it does not. */
  readonly cookies?: CookiesReport;
  /** Whether the host asks for the drain of this backend, which is the address that was asked. False in reports without it. */
  readonly draining: boolean;
  /** Who asked lately, sorted by address (forwarders-heard.ts); empty in reports without it. */
  readonly forwarders: readonly ForwarderReport[];
}

/** `keys`: fingerprints (cookieKeyFingerprint) of those that it accepts, one at least. `why`: one line, for the operator. */
export type CookiesReport =
  | { readonly ok: true; readonly keys: readonly string[] }
  | { readonly ok: false; readonly why: string };

/** What a forwarder said when it asked last. */
export interface ForwarderReport {
  /** Canonical text. */
  readonly address: string;
  /** It drains this backend, and has said so since the host asks for that. */
  readonly draining: boolean;
  readonly agoMs: number;
  /** How often it asks at least. */
  readonly everyMs: number;
}

export interface DriverReport {
  readonly sendFailed: number | null;
  readonly missed: number | null;
}

export interface VipReport {
  /** Canonical text. */
  readonly vip: string;
  readonly protocol: 'tcp';
  /** Connections that a drain has to wait for (src/agent/tcp-connections.ts says which count). */
  readonly established: number;
  /** The same by the services' names. */
  readonly services: Readonly<Record<string, number>>;
}

/** A report, and what came with it. */
export interface AgentAnswer {
  readonly report: AgentReport;
  /** The clock of the backend's host as it answered, in milliseconds since 1970, to the second; undefined when it did not say. */
  readonly clockMs: number | undefined;
}

/**
 * Asks an agent for its report.
 * @param address of the backend in the underlay, IPv4 or IPv6
 * @param timeoutMs for all of it, from the first packet to the last byte
 * @param question what a forwarder says as it asks; undefined for who is no forwarder
 * @throws AnyhopError ERR_REPORT when nobody answers in time, the answer is a refusal, or no report
 */
export async function fetchAgentReport(
  address: string,
  port: number,
  timeoutMs: number,
  question?: Question,
): Promise<AgentReport> {
  return (await askAgent(address, port, timeoutMs, { ...(question !== undefined && { question }) })).report;
}

export interface AgentQuestion {
  readonly question?: Question;
  /** The address of this host to ask from; the kernel chooses when it is not given. */
  readonly from?: string;
}

/** The same, with all that can be asked and heard. @throws as fetchAgentReport */
export async function askAgent(
  address: string,
  port: number,
  timeoutMs: number,
  asked: AgentQuestion,
): Promise<AgentAnswer> {
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  const fail = (message: string, cause?: unknown): AnyhopError =>
    new AnyhopError('ERR_REPORT', `the agent at ${where} ${message}`, {
      exitCode: EXIT.failure,
      ...(cause !== undefined && { cause }),
    });
  let answer: Answer;
  try {
    answer = await get(address, port, timeoutMs, asked);
  } catch (cause) {
    const late = (cause as Error).name === 'TimeoutError' || (cause as Error).name === 'AbortError';
    const { code } = cause as NodeJS.ErrnoException;
    const why =
      code === 'ECONNRESET'
        ? `${reasonOf(cause)} (is this node's address in agent.forwarders?)`
        : reasonOf(cause);
    throw fail(`does not answer: ${late ? `not within ${formatDuration(timeoutMs)}` : why}`, cause);
  }
  if (answer.status !== 200)
    throw fail(`answers ${answer.status}: ${printable(answer.text.trim(), QUOTED_CHARS_MAX)}`);
  const report = parseAgentReport(answer.text);
  if (report === undefined)
    throw fail('sends something that is no report: another version, or another program');
  const clockMs = Date.parse(answer.date ?? '');
  return { report, clockMs: Number.isNaN(clockMs) ? undefined : clockMs };
}

interface Answer {
  readonly status: number | undefined;
  /** The header of this name. */
  readonly date: string | undefined;
  readonly text: string;
}

function get(
  host: string,
  port: number,
  timeoutMs: number,
  { question, from }: AgentQuestion,
): Promise<Answer> {
  const headers = question === undefined ? {} : { [FORWARDER_HEADER]: writeQuestion(question) };
  return new Promise((resolve, reject) => {
    // Without a pool: a connection is for one question, so that nothing is left to close.
    const signal = AbortSignal.timeout(timeoutMs);
    const local = from === undefined ? {} : { localAddress: from };
    const options = { host, port, path: REPORT_PATH, headers, agent: false, signal, ...local };
    const asked = request(options, (response) => {
      const pieces = new Pieces(REPORT_BYTES_MAX);
      const add = (part: Buffer): void => {
        const excess = pieces.add(part);
        if (excess === undefined) return;
        // Those of the same read would still come.
        response.off('data', add);
        asked.destroy(new Error(excess));
      };
      response.on('data', add);
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode,
          date: response.headers.date,
          text: pieces.join().toString(),
        }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}

/**
 * The report that a text is; undefined when it is none. Fields that this version does not know are left out. Names and texts have the
 * form that an agent gives them, so that nothing else gets into logs, status and files.
 */
export function parseAgentReport(text: string): AgentReport | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  const {
    version,
    startedAt,
    verdicts,
    vips,
    missingVips,
    driver,
    cookies,
    draining = false,
    forwarders = [],
  } = value;
  if (!isText(version, VERSION_PATTERN) || !isText(startedAt, TIME_PATTERN)) return undefined;
  if (!isCounts(verdicts, VERDICT_PATTERN) || !Array.isArray(vips)) return undefined;
  if (Object.keys(verdicts).length > VERDICTS_MAX) return undefined;
  const read = vips.map(readVip);
  if (!read.every((each) => each !== undefined)) return undefined;
  if (missingVips !== undefined && !isVips(missingVips)) return undefined;
  if (driver !== undefined && !isDriver(driver)) return undefined;
  if (cookies !== undefined && !isCookies(cookies)) return undefined;
  if (typeof draining !== 'boolean' || !Array.isArray(forwarders)) return undefined;
  if (forwarders.length > FORWARDERS_HEARD_MAX || !forwarders.every(isForwarder)) return undefined;
  return {
    version,
    startedAt,
    vips: read,
    ...(missingVips !== undefined && { missingVips }),
    verdicts,
    ...(driver !== undefined && { driver: { sendFailed: driver.sendFailed, missed: driver.missed } }),
    ...(cookies !== undefined && { cookies: readCookies(cookies) }),
    draining,
    forwarders: forwarders.map(({ address, draining, agoMs, everyMs }) => ({
      address,
      draining,
      agoMs,
      everyMs,
    })),
  };
}

function readVip(value: unknown): VipReport | undefined {
  if (!isRecord(value)) return undefined;
  const { vip, protocol, established, services } = value;
  if (!isAddress(vip) || protocol !== 'tcp') return undefined;
  if (!isCount(established) || !isCounts(services, NAME_PATTERN)) return undefined;
  return { vip, protocol, established, services };
}

function isVips(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= VIPS_MAX && value.every(isAddress);
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && parseAddress(value)?.text === value;
}

function isDriver(value: unknown): value is DriverReport {
  if (!isRecord(value)) return false;
  return [value['sendFailed'], value['missed']].every((count) => count === null || isCount(count));
}

function isCookies(value: unknown): value is CookiesReport {
  if (!isRecord(value)) return false;
  const { ok, keys, why } = value;
  if (ok === false) return typeof why === 'string' && why.length <= WHY_CHARS_MAX;
  if (ok !== true || !Array.isArray(keys) || keys.length === 0 || keys.length > COOKIE_KEYS_MAX) return false;
  return keys.every((key) => isText(key, FINGERPRINT_PATTERN));
}

/** A reason is free text: it is made printable here, once. */
function readCookies(cookies: CookiesReport): CookiesReport {
  if (cookies.ok) return { ok: true, keys: [...cookies.keys] };
  return { ok: false, why: printable(cookies.why, WHY_CHARS_MAX) };
}

function isForwarder(value: unknown): value is ForwarderReport {
  if (!isRecord(value)) return false;
  const { address, draining, agoMs, everyMs } = value;
  if (!isAddress(address)) return false;
  return typeof draining === 'boolean' && isCount(agoMs) && isCount(everyMs);
}

/** @param names of what is counted */
function isCounts(value: unknown, names: RegExp): value is Record<string, number> {
  return (
    isRecord(value) && Object.entries(value).every(([name, count]) => names.test(name) && isCount(count))
  );
}

function isText(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
