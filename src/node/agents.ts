/**
 * What the backends' agents report, asked for all the time: whether they answer, their version, their VIPs, and how many
 * connections they have. A few at a time, so that thousands of backends cost a node no more than some do: a small fleet is asked
 * every 5 s, 4,000 backends every 80 s. With each question the node says whether it drains the backend.
 */
import type { Question } from '../agent/question.js';
import { type AgentAnswer, type AgentReport, askAgent } from '../agent/report.js';
import type { AgentStatus } from '../api/status.js';
import { AGENT_REPORT_PORT_DEFAULT } from '../core/limits.js';
import { parseAddress } from '../packet/address.js';
import type { NamedBackend } from '../pool/membership.js';

const TICK_MS = 1_000;
/** Ticks in which all of a small fleet are asked. */
const ROUND_TICKS = 5;
/** An answer takes 0.3 ms of this process. */
const ASKED_PER_TICK_MAX = 50;
const VERSION_TEXT = /^[\w.+-]{1,40}$/;
const UNPRINTABLE = /\p{C}/gu;
/** How long an agent may take to answer. */
const TIMEOUT_MS = 1_500;

export interface AgentsOptions {
  readonly fetch?: typeof askAgent;
}

export class Agents {
  readonly #fetch: NonNullable<AgentsOptions['fetch']>;
  #port = AGENT_REPORT_PORT_DEFAULT;
  /** By address as text. */
  readonly #known = new Map<string, AgentStatus>();
  readonly #asked = new Set<string>();
  #addresses: readonly string[] = [];
  #next = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #listeners: ((address: string, answer: AgentAnswer) => void)[] = [];
  #isDrained = (_address: string): boolean => false;

  constructor({ fetch = askAgent }: AgentsOptions = {}) {
    this.#fetch = fetch;
  }

  /** Calls `listener` with every report. */
  onReport(listener: (address: string, answer: AgentAnswer) => void): void {
    this.#listeners.push(listener);
  }

  /** @param isDrained whether this node drains the backend at an address: what agents are told */
  tell(isDrained: (address: string) => boolean): void {
    this.#isDrained = isDrained;
  }

  /** Asks the agents of these backends from now on, and no others. @param port of the agents' reports */
  follow(backends: readonly NamedBackend[], port: number): void {
    this.#port = port;
    const texts = backends.flatMap(({ backend: { agent, address } }) => (agent ? [address.text] : []));
    this.#addresses = [...new Set(texts)];
    const kept = new Set(this.#addresses);
    for (const address of this.#known.keys()) if (!kept.has(address)) this.#known.delete(address);
    this.#timer ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  /** Asks those whose turn it is. */
  tick(): void {
    const { length } = this.#addresses;
    for (let i = 0; i < this.#perTick(); i++) {
      const address = this.#addresses[this.#next++ % length];
      // Why it failed is kept.
      if (!this.#asked.has(address)) this.ask(address).catch(() => undefined);
    }
  }

  #perTick(): number {
    return Math.min(Math.ceil(this.#addresses.length / ROUND_TICKS), ASKED_PER_TICK_MAX);
  }

  /** A very small fleet is asked more often than is said here, so that agents do not forget a node which restarts. */
  #question(address: string): Question {
    const ticks = Math.ceil(this.#addresses.length / Math.max(this.#perTick(), 1));
    return { draining: this.#isDrained(address), everyMs: Math.max(ticks, ROUND_TICKS) * TICK_MS };
  }

  /** @throws AnyhopError ERR_REPORT when the agent does not answer */
  async ask(address: string): Promise<AgentReport> {
    this.#asked.add(address);
    const at = new Date().toISOString();
    let answer: AgentAnswer;
    try {
      const question = this.#question(address);
      answer = await this.#fetch(address, this.#port, TIMEOUT_MS, { question });
      this.#known.set(address, answered(answer.report, at));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#known.set(address, { reachable: false, at, why: why.replaceAll(UNPRINTABLE, '?') });
      throw error;
    } finally {
      this.#asked.delete(address);
    }
    for (const listener of this.#listeners) listener(address, answer);
    return answer.report;
  }

  /** Undefined before the first answer, or the first failure. */
  status(address: string): AgentStatus | undefined {
    return this.#known.get(address);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** It comes from another machine, and is shown on terminals. */
function answered(
  { version, startedAt, vips, missingVips = [], draining }: AgentReport,
  at: string,
): AgentStatus {
  return {
    reachable: true,
    at,
    version: VERSION_TEXT.test(version) ? version : 'none that can be read',
    startedAt: new Date(startedAt).toISOString(),
    vips: [...new Set(vips.flatMap(({ vip }) => parseAddress(vip)?.text ?? []))],
    ...(missingVips.length > 0 && { missingVips }),
    connections: vips.reduce((sum, { established }) => sum + established, 0),
    draining,
  };
}
