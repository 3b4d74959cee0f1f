/**
 * Drains that backends' agents ask for. An agent says with each report whether its host asks to be drained; where the pools do not say the
 * same yet, they are changed, as `anyhop drain` changes them: a planned change that may have to wait.
 *
 *   report of an agent --> heard --> what differs --one change at a time--> pools
 *
 * An answer that does not come changes nothing. An agent that changes its mind all the time makes a change every AGENT_DRAIN_PAUSE_MS at
 * most, and each of its changes takes the place of the one that waits.
 */
import { AnyhopError } from '../core/errors.js';
import { AGENT_DRAIN_PAUSE_MS } from '../core/limits.js';
import type { Logger } from '../core/log.js';
import { reasonOf } from '../core/reason.js';
import { Rerun } from '../core/rerun.js';
import { type AgentWords, unheard } from '../pool/agent-drain.js';
import type { Membership } from '../pool/membership.js';
import type { Agents } from './agents.js';
import { isDrained } from './drain-claims.js';
import type { Forwarding } from './forwarding.js';
import type { NodePools } from './node-pools.js';
import { hearing } from './requests.js';

export interface AgentDrainsOptions {
  readonly pools: () => Membership;
  /** Undefined while the node starts. @throws why the change is not in force; nothing has changed */
  readonly change: () => ((words: AgentWords) => Promise<unknown>) | undefined;
  /** Asks the agent soon, so that it learns that this forwarder has followed. */
  readonly ask: (address: string) => void;
  readonly log: Logger;
  /** Milliseconds of a clock that only rises. */
  readonly now: () => number;
}

export class AgentDrains {
  readonly #options: AgentDrainsOptions;
  /** What each said last, by address. */
  readonly #words = new Map<string, boolean>();
  /** When a change for an address was made last. */
  readonly #changedMs = new Map<string, number>();
  #open: ReadonlySet<string> = new Set();
  #seen: Membership | undefined;
  #complaint: string | undefined;
  readonly #runs = new Rerun(() => this.#run());

  constructor(options: AgentDrainsOptions) {
    this.#options = options;
  }

  /** An agent has answered. */
  heard(address: string, isAsked: boolean): void {
    if (this.#words.get(address) === isAsked && !this.#open.has(address)) return;
    this.#words.set(address, isAsked);
    this.#look();
  }

  /** The pools may have changed. What an agent said before holds for a backend that they had not. */
  poolsChanged(): void {
    const pools = this.#options.pools();
    if (pools === this.#seen || this.#words.size === 0) return;
    this.#seen = pools;
    const there = new Set(
      [...pools.values()].flatMap(({ file }) => file.backends.map(({ address }) => address.text)),
    );
    for (const address of this.#words.keys()) if (!there.has(address)) this.#words.delete(address);
    this.#look();
  }

  /** Whether a change of what this agent asks for is due or under way: what the pools say of it does not last. */
  isOpen(address: string): boolean {
    return this.#open.has(address);
  }

  /** Resolves when no change is under way. */
  async idle(): Promise<void> {
    await this.#runs.idle();
  }

  #look(): void {
    this.#open = unheard(this.#options.pools(), this.#words);
    if (this.#open.size > 0) void this.#runs.ask();
  }

  async #run(): Promise<void> {
    const change = this.#options.change();
    const nowMs = this.#options.now();
    const due = [...this.#open].filter((address) => this.#isDue(address, nowMs));
    if (change === undefined || due.length === 0) return; // the next answer tries again
    const words = new Map(due.map((address) => [address, this.#words.get(address) === true]));
    for (const [address, isAsked] of words) this.#tell(address, isAsked);
    for (const address of due) this.#changedMs.set(address, nowMs);
    try {
      await change(words);
      this.#complaint = undefined;
    } catch (error) {
      this.#complain(due, error);
    }
    this.#open = unheard(this.#options.pools(), this.#words);
    for (const address of due) if (!this.#open.has(address)) this.#options.ask(address);
  }

  #isDue(address: string, nowMs: number): boolean {
    const changedMs = this.#changedMs.get(address);
    if (changedMs === undefined) return true;
    if (nowMs - changedMs < AGENT_DRAIN_PAUSE_MS) return false;
    this.#changedMs.delete(address);
    return true;
  }

  #tell(address: string, isAsked: boolean): void {
    const names = new Set(
      [...this.#options.pools().values()].flatMap(({ file }) =>
        file.backends.flatMap((one) => (one.address.text === address ? [one.name] : [])),
      ),
    );
    const backend = [...names].join(', ');
    const who = `the agent of ${backend} (${address})`;
    if (isAsked)
      this.#options.log.info({ event: 'drain_asked', backend, address }, `${who} asks for a drain`);
    else
      this.#options.log.info(
        { event: 'drain_no_longer_asked', backend, address },
        `${who} no longer asks for a drain`,
      );
  }

  /** Once for each reason. */
  #complain(addresses: readonly string[], error: unknown): void {
    if (error instanceof AnyhopError && error.code === 'ERR_STOPPING') return;
    const why = reasonOf(error);
    if (why !== this.#complaint)
      this.#options.log.warn(
        { event: 'drain_not_taken', addresses, why },
        `what agents ask for is not planned yet, and tried again: ${why}`,
      );
    this.#complaint = why;
  }
}

/** Drains that the agents of a node's backends ask for; and what they are told, which is that nothing drains while the node starts. */
export function followAgents({
  agents,
  pools,
  forwarding,
  ...rest
}: Pick<AgentDrainsOptions, 'log' | 'now'> & {
  readonly agents: Agents;
  readonly pools: NodePools;
  /** Undefined while the node starts. */
  readonly forwarding: () => Forwarding | undefined;
}): AgentDrains {
  const drains = new AgentDrains({
    ...rest,
    pools: () => pools.pools,
    change: () => forwarding() && ((words) => pools.change(() => hearing(pools.file, words))),
    ask: (address) => void agents.ask(address).catch(() => undefined), // its status says why
  });
  agents.onReport((address, { report: { draining } }) => drains.heard(address, draining));
  agents.tell((address) => {
    const assembly = forwarding()?.assembly;
    return (
      assembly !== undefined && !drains.isOpen(address) && isDrained(address, assembly.pools, pools.pools)
    );
  });
  return drains;
}
