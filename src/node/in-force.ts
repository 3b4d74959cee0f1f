/** What a node decides by (api/in-force.ts): written from what is in force, and made into the same tables again. */
import {
  type InForce,
  type InForceReport,
  type Moment,
  misunderstood,
  presentState,
} from '../api/in-force.js';
import { keyFingerprint } from '../config/key-fingerprint.js';
import type { NodeConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { L } from '../core/layout.gen.js';
import type { Path } from '../packet/path.js';
import type { StateMember } from '../pool/states.js';
import { machineOf } from '../table/state.js';
import { type Assembly, assemble, fixedPath } from './assemble.js';

export function inForceReport(
  { pools, services, paths }: Assembly,
  { source4, source6, key }: NodeConfig,
  moment: Moment,
): InForceReport {
  return {
    ...moment,
    keyFingerprint: keyFingerprint(key.reveal()),
    flowHashVersion: L.FLOW_HASH_VERSION,
    ...(source4 && { source4: source4.text }),
    ...(source6 && { source6: source6.text }),
    services: each(services, ({ vip, ...service }) => ({ ...service, vip: vip.text })),
    pools: pools.map((pool) => {
      const { name, slots, panicThreshold, state, remembered, formerKey, underFormerKey, tables } = pool;
      const mtus = new Map(tables.members.map((member) => [machineOf(member), paths.get(member)?.mtu]));
      const told = (member: StateMember) => {
        const { name, address, weight, state, agent, id } = member;
        return {
          name,
          address: address.text,
          weight,
          state,
          agent,
          id,
          mtu: mtus.get(machineOf(member)) ?? null,
        };
      };
      const toldState = (former: readonly StateMember[]) =>
        each(former, (member) => {
          const { health, unreachable } = member;
          return {
            ...told(member),
            health: health === 'up' ? ('up' as const) : ('down' as const),
            ...(unreachable && { unreachable }),
          };
        });
      return {
        name,
        slots,
        panicThreshold: panicThreshold ?? 0,
        owners: tables.ownersDigest,
        alternates: tables.alternatesDigest,
        backends: each(state, (member) => {
          const { health, drained } = member;
          return { ...told(member), health, ...(drained !== undefined && { drained }) };
        }),
        remembered: remembered.map(toldState),
        ...(formerKey !== undefined && { formerKey }),
        ...(underFormerKey && { underFormerKey: underFormerKey.map(toldState) }),
      };
    }),
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
 * @param mtu of all paths; those of the node when undefined
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
  const { services, source4, source6, generation } = inForce;
  const others = new Map(node.otherKeys.map((secret) => [keyFingerprint(secret.reveal()), secret]));
  for (const { formerKey } of inForce.pools)
    if (formerKey !== undefined && !others.has(formerKey))
      throw new AnyhopError(
        'ERR_USAGE',
        `${file} has no secret with the fingerprint ${formerKey}, which node ${inForce.node} hashes flows with beside the present one`,
        { hint: 'Ask again when the settle time is over, or ask the file only (--no-socket).' },
      );
  const pools = inForce.pools.map((pool) => ({ ...pool, state: presentState(pool) }));
  const mtus = new Map<unknown, number | null>(
    pools.flatMap(({ state, remembered, underFormerKey = [] }) =>
      [state, ...remembered, ...underFormerKey].flatMap((one) =>
        one.map((member) => [member, member.mtu] as const),
      ),
    ),
  );
  const path = (member: StateMember): Path | undefined => {
    const own = mtus.get(member);
    return typeof own === 'number' ? fixedPath(mtu ?? own)(member) : undefined;
  };
  const served = { services, pools, formerKey: (id: string) => others.get(id) };
  const assembly = assemble(served, { ...node, source4, source6 }, { generation, path });
  for (const [i, { tables }] of assembly.pools.entries()) {
    const { name, owners, alternates } = inForce.pools[i];
    if (tables.ownersDigest !== owners || tables.alternatesDigest !== alternates)
      throw misunderstood(from, `pool ${name} makes other tables here than there`);
  }
  return assembly;
}
