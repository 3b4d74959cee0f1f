/** What a node decides by (api/in-force.ts): written from what is in force, and made into the same tables again. */
import { type InForce, type InForceReport, type Moment, misunderstood } from '../api/in-force.js';
import type { Config, NodeConfig, PoolConfig, PriorBackendConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { keyFingerprint } from '../hash/key.js';
import { type Assembly, assemble, fixedWay } from './assemble.js';

export function inForceReport(
  { pools, services, ways }: Assembly,
  { source4, source6, key }: NodeConfig,
  moment: Moment,
): InForceReport {
  const told = (member: PoolConfig['backends'][number] | PriorBackendConfig) => {
    const {
      name,
      address: { text },
      weight,
      state,
      agent,
    } = member;
    return { name, address: text, weight, state, agent, mtu: ways.get(member)?.mtu ?? null };
  };
  return {
    ...moment,
    keyFingerprint: keyFingerprint(key.reveal()),
    ...(source4 && { source4: source4.text }),
    ...(source6 && { source6: source6.text }),
    services: each(services, ({ vip, ...service }) => ({ ...service, vip: vip.text })),
    pools: pools.map(({ config: pool, state, tables }) => ({
      name: pool.name,
      slots: pool.tableSize,
      panicThreshold: pool.panicThreshold,
      owners: tables.ownersDigest,
      alternates: tables.alternatesDigest,
      backends: each(pool.backends, (member, i) => {
        const { health, drained } = state[i];
        return { ...told(member), health, ...(drained !== undefined && { drained }) };
      }),
      ...(pool.prior && {
        prior: each(pool.prior, (member) => ({ ...told(member), health: member.health })),
      }),
    })),
  };
}

/** What `make` makes of each, made anew whenever it is read. */
function each<T, R>(list: readonly T[], make: (one: T, index: number) => R): Iterable<R> {
  return {
    *[Symbol.iterator]() {
      for (const [index, one] of list.entries()) yield make(one, index);
    },
  };
}

/**
 * What the node has in force, made again: the same tables, and so the same verdicts and backends.
 * @param node the secret is taken from it
 * @param mtu of all ways; those of the node when undefined
 * @throws AnyhopError ERR_USAGE for another secret than the node's, ERR_SOCKET for tables other than its own
 */
export function assembleInForce(
  inForce: InForce,
  node: NodeConfig,
  { from, file, mtu }: { readonly from: string; readonly file: string; readonly mtu?: number | undefined },
): Assembly {
  if (keyFingerprint(node.key.reveal()) !== inForce.keyFingerprint) {
    throw new AnyhopError(
      'ERR_USAGE',
      `the secret of ${file} is not the one that node ${inForce.node} forwards by`,
      {
        hint: `Name the file that the node reads (-c ${inForce.configFile}), or ask the file only (--no-socket).`,
      },
    );
  }
  const marks = new Map(inForce.pools.flatMap((pool) => pool.backends.map((each) => [each, each] as const)));
  const config: Config = {
    file,
    node,
    agent: undefined,
    services: inForce.services,
    pools: inForce.pools.map((pool) => ({
      ...NOT_OF_THE_TABLES,
      name: pool.name,
      tableSize: pool.slots,
      panicThreshold: pool.panicThreshold,
      backends: pool.backends,
      prior: pool.prior,
    })),
  };
  const { source4, source6 } = inForce;
  const assembly = assemble(
    config,
    { ...node, source4, source6 },
    {
      generation: inForce.generation,
      way: (member) => {
        const { mtu: own } = member as InForce['pools'][number]['backends'][number];
        return own === null ? undefined : fixedWay(mtu ?? own)(member);
      },
      health: (_, member) => marks.get(member as never)!.health,
      drained: (_, member) => marks.get(member as never)!.drained === true,
    },
  );
  for (const [i, { tables }] of assembly.pools.entries()) {
    const { name, owners, alternates } = inForce.pools[i];
    if (tables.ownersDigest !== owners || tables.alternatesDigest !== alternates)
      throw misunderstood(from, `pool ${name} makes other tables here than there`);
  }
  return assembly;
}

/** What a pool has besides, and no table comes from. */
const NOT_OF_THE_TABLES = {
  health: undefined,
  deadAfterMs: 0,
  settleMs: 0,
  drainDeadlineMs: 0,
} satisfies Partial<PoolConfig>;
