/** Floods, over all nodes: attacks that last, lists that could not be read anew, and backends that cannot take SYN cookies. */
import type { AttackKind, AttackStatus } from '../api/defend.js';
import { gathered } from './gather.js';
import { type Source, since } from './seen.js';

export interface DefenceRows {
  readonly attacks: readonly AttackRow[];
  readonly listProblems: readonly { readonly problem: string; readonly nodes: readonly string[] }[];
  readonly withoutCookies: readonly WithoutCookies[];
}

/** One kind of attack on one service. */
export interface AttackRow {
  readonly service: string;
  readonly kind: AttackKind;
  /** `observe` when all nodes that see it only count it. */
  readonly mode: AttackStatus['mode'];
  readonly sinceMs?: number | undefined;
  /** Of its kind, over all nodes. */
  readonly packetsPerSecond: number;
  readonly nodes: readonly string[];
}

export interface WithoutCookies {
  readonly pool: string;
  readonly backend: string;
  readonly why: string;
  /** A service of the pool answers SYNs with cookies now. */
  readonly areInUse: boolean;
}

export function defenceRows(sources: readonly Source[], now: number): DefenceRows {
  return {
    attacks: attackRows(sources, now),
    listProblems: [...gathered(sources, problemsOf)].map(([problem, seen]) => ({
      problem,
      nodes: seen.map(({ source }) => source.name),
    })),
    withoutCookies: [...gathered(sources, refusalsOf)].map(([, seen]) => ({
      ...seen[0].thing,
      areInUse: seen.some(({ thing }) => thing.areInUse),
    })),
  };
}

function attackRows(sources: readonly Source[], now: number): AttackRow[] {
  const lasting = gathered(sources, ({ status }) =>
    (status.defend?.attacks ?? [])
      .filter(({ until }) => until === undefined)
      .map((attack) => [`${attack.service} ${attack.kind}`, attack] as const),
  );
  return [...lasting.values()].map((seen) => {
    const [{ thing: first }] = seen;
    const ages = seen.flatMap(({ thing }) => since(thing.since, now) ?? []);
    return {
      service: first.service,
      kind: first.kind,
      mode: seen.some(({ thing }) => thing.mode === 'enforce') ? 'enforce' : 'observe',
      sinceMs: ages.length === 0 ? undefined : Math.max(...ages),
      packetsPerSecond: seen.reduce((total, { thing }) => total + thing.rate, 0),
      nodes: seen.map(({ source }) => source.name),
    };
  });
}

function problemsOf({ status }: Source): [string, string][] {
  return (status.defend?.lists.problems ?? []).map((problem) => [problem, problem]);
}

function refusalsOf({ status: { defend, services } }: Source): [string, WithoutCookies][] {
  if (defend === undefined) return [];
  const active = new Set(
    defend.services.filter(({ cookies }) => cookies === 'active').map(({ name }) => name),
  );
  const pools = new Set(services.filter(({ name }) => active.has(name)).map(({ pool }) => pool));
  return defend.withoutCookies.map(({ pool, backend, why }) => [
    `${pool} ${backend}`,
    { pool, backend, why, areInUse: pools.has(pool) },
  ]);
}
