/**
 * Which backends of a pool drain because their agents ask for it (agent/draining-mark.ts). That lies over the file and over what was said
 * at runtime, and none of the three knows of the others: a backend drains while one of them says so.
 *
 *   file, overrides --overridden()--> what file and operator want --with agents' drains--> what is planned
 *
 * An agent speaks for its own address alone. One that asks no longer is remembered until its backend is active again, so that the change
 * that waits for this can be told from others.
 */
import type { BackendConfig, PoolConfig } from '../config/types.js';
import type { Membership, PoolMembership } from './membership.js';
import { type Override, overridden } from './override.js';

export interface AgentDrain {
  /** Of the backend in the underlay, as canonical text. */
  readonly address: string;
  /** false: it asked, asks no longer, and the backend is not active yet. */
  readonly isAsked: boolean;
}

/** What agents answered last, by address: whether they ask for a drain. */
export type AgentWords = ReadonlyMap<string, boolean>;

interface Said {
  readonly file: PoolConfig;
  readonly overrides: readonly Override[];
  readonly agentDrains: readonly AgentDrain[];
}

/** The pool as file, operator and agents together want it. */
export function wantedPool({ file, overrides, agentDrains }: Said): PoolConfig {
  const pool = overridden(file, overrides);
  const asked = new Set(agentDrains.flatMap(({ address, isAsked }) => (isAsked ? [address] : [])));
  if (asked.size === 0) return pool;
  return {
    ...pool,
    backends: pool.backends.map((backend) =>
      asked.has(backend.address.text) ? { ...backend, state: 'draining' } : backend,
    ),
  };
}

/** Names of the backends whose agents ask for a drain. */
export function askedNames({ file, agentDrains }: Said): ReadonlySet<string> {
  const asked = new Set(agentDrains.flatMap(({ address, isAsked }) => (isAsked ? [address] : [])));
  return new Set(file.backends.flatMap(({ name, address }) => (asked.has(address.text) ? [name] : [])));
}

/** After agents have answered; the same list when they say what they said before. */
export function withWords({ file, agentDrains }: Said, words: AgentWords): readonly AgentDrain[] {
  const known = new Map(agentDrains.map((drain) => [drain.address, drain]));
  const news = file.backends.flatMap(({ address: { text }, agent }): AgentDrain[] => {
    const isAsked = agent ? words.get(text) : undefined;
    if (isAsked === undefined || isAsked === (known.get(text)?.isAsked ?? false)) return [];
    return [{ address: text, isAsked }];
  });
  if (news.length === 0) return agentDrains;
  return [...new Map([...agentDrains, ...news].map((drain) => [drain.address, drain])).values()].sort(
    byAddress,
  );
}

/**
 * Without agents whose backend the file no longer has, or has without an agent, and without those that ask no longer once their backend
 * is active, or drains for another reason.
 * @param members in force
 */
export function stillAsked(
  { file, overrides, agentDrains }: Said,
  members: readonly BackendConfig[],
): readonly AgentDrain[] {
  if (agentDrains.length === 0) return agentDrains;
  const agents = new Set(file.backends.flatMap(({ address, agent }) => (agent ? [address.text] : [])));
  const wanted = new Map(overridden(file, overrides).backends.map((one) => [one.address.text, one.state]));
  const draining = new Set(
    members.flatMap(({ address, state }) => (state === 'draining' ? [address.text] : [])),
  );
  const left = agentDrains.filter(({ address, isAsked }) => {
    if (!agents.has(address)) return false;
    return isAsked || (draining.has(address) && wanted.get(address) === 'active');
  });
  return left.length === agentDrains.length ? agentDrains : left;
}

/** Addresses of which some pool does not yet say what their agent answered last. */
export function unheard(pools: Membership, words: AgentWords): Set<string> {
  const found = new Set<string>();
  for (const { file, agentDrains } of pools.values()) {
    const asked = new Map(agentDrains.map(({ address, isAsked }) => [address, isAsked]));
    for (const { address, agent } of file.backends) {
      const word = agent ? words.get(address.text) : undefined;
      if (word !== undefined && word !== (asked.get(address.text) ?? false)) found.add(address.text);
    }
  }
  return found;
}

/** Who says that a member is to drain; nobody when it does not, or the file no longer has it. */
export type DrainSource = 'file' | 'runtime' | 'agent';

export function drainSources({ file, overrides, agentDrains }: Said, name: string): DrainSource[] {
  const backend = file.backends.find((one) => one.name === name);
  if (backend === undefined) return [];
  const said = overrides.find((one) => one.backend === name)?.state;
  const isAsked = agentDrains.some((drain) => drain.address === backend.address.text && drain.isAsked);
  return [
    ...(said === undefined && backend.state === 'draining' ? (['file'] as const) : []),
    ...(said === 'draining' ? (['runtime'] as const) : []),
    ...(isAsked ? (['agent'] as const) : []),
  ];
}

/**
 * Whether an agent alone is the reason for another state of a backend. Where a drain has just ended, `was` still knows of it.
 * @param state the one that it changes to
 */
export function isByAgent(
  was: PoolMembership,
  is: PoolMembership,
  name: string,
  state: BackendConfig['state'],
): boolean {
  if (state === 'draining') return drainSources(is, name).join() === 'agent';
  const address = is.file.backends.find((one) => one.name === name)?.address.text;
  return (
    drainSources(is, name).length === 0 &&
    [was, is].some(({ agentDrains }) => agentDrains.some((drain) => drain.address === address))
  );
}

function byAddress(a: AgentDrain, b: AgentDrain): number {
  return a.address < b.address ? -1 : 1;
}
