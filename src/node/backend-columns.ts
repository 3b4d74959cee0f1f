/**
 * The metrics of a node's backends. What an image decides is made once for each image, and of its pools only for those that are others
 * than before; at each scrape only counters and agents are looked at.
 */
import type { BackendStatus } from '../api/status.js';
import { COUNTERS_PER_ENTRY } from '../forward/counters.js';
import type { MetricTable } from '../metrics/table.js';
import { slotsOf } from '../table/slots.js';
import type { AssembledPool, Assembly } from './assemble.js';

const STATES = ['active', 'draining'] as const;

/** Who the members of a pool are: the same object for as long as they are. */
interface Names {
  readonly rows: readonly (readonly string[])[];
  readonly stateRows: readonly (readonly string[])[];
  /** Where an agent is asked; undefined for a backend without one. */
  readonly agents: readonly (string | undefined)[];
}

/** Of a pool's members, in their order. */
interface PoolColumns {
  readonly names: Names;
  readonly states: Float64Array;
  readonly up: Float64Array;
  readonly reachable: Float64Array;
  readonly weight: Float64Array;
  readonly slots: Float64Array;
}

/** Of all pools, one after the other. */
interface AllColumns extends PoolColumns {
  readonly mtu: Float64Array;
  /** Where packets are counted; bytes are beside. */
  readonly at: Uint32Array;
}

export class BackendColumns {
  readonly #ofPool = new WeakMap<AssembledPool, PoolColumns>();
  #last:
    | { readonly assembly: Assembly; readonly parts: readonly PoolColumns[]; readonly all: AllColumns }
    | undefined;

  tables(
    assembly: Assembly,
    counted: Float64Array,
    agent: (address: string) => BackendStatus['agent'],
  ): MetricTable[] {
    const all = this.#all(assembly);
    const { rows, stateRows, agents } = all.names;
    const { length } = rows;
    const packets = new Float64Array(length);
    const bytes = new Float64Array(length);
    const agentUp = new Float64Array(length);
    const connections = new Float64Array(length);
    for (let i = 0; i < length; i++) {
      packets[i] = counted[all.at[i]] ?? 0;
      bytes[i] = counted[all.at[i] + 1] ?? 0;
      const address = agents[i];
      const status = address === undefined ? undefined : agent(address);
      agentUp[i] = status === undefined ? Number.NaN : Number(status.reachable);
      connections[i] = status?.connections ?? Number.NaN;
    }
    return [
      {
        rows,
        columns: {
          anyhop_backend_packets_total: packets,
          anyhop_backend_bytes_total: bytes,
          anyhop_backend_up: all.up,
          anyhop_backend_reachable: all.reachable,
          anyhop_backend_path_mtu_bytes: all.mtu,
          anyhop_backend_weight: all.weight,
          anyhop_backend_slots: all.slots,
          anyhop_backend_agent_up: agentUp,
          anyhop_backend_open_connections: connections,
        },
      },
      { rows: stateRows, columns: { anyhop_backend_state: all.states } },
    ];
  }

  #all(assembly: Assembly): AllColumns {
    const last = this.#last;
    if (last?.assembly === assembly) return last.all;
    const { pools, paths, numbers } = assembly;
    const parts = pools.map((pool, i) => this.#pool(pool, last?.parts[i]?.names));
    const isSame =
      parts.length === last?.parts.length && parts.every(({ names }, i) => names === last.parts[i].names);
    const names = isSame ? last.all.names : joinedNames(parts.map((part) => part.names));
    const all: AllColumns = {
      names,
      states: joined(parts.map(({ states }) => states)),
      up: joined(parts.map(({ up }) => up)),
      reachable: joined(parts.map(({ reachable }) => reachable)),
      weight: joined(parts.map(({ weight }) => weight)),
      slots: joined(parts.map(({ slots }) => slots)),
      mtu: joined(
        pools.map((pool) =>
          Float64Array.from(membersOf(pool), (member) => paths.get(member)?.mtu ?? Number.NaN),
        ),
      ),
      at:
        isSame && last.assembly.numbers.backends === numbers.backends
          ? last.all.at
          : Uint32Array.from(
              names.rows,
              ([pool, backend]) => numbers.backends.of(`${pool}/${backend}`) * COUNTERS_PER_ENTRY,
            ),
    };
    this.#last = { assembly, parts, all };
    return all;
  }

  /** @param before of the pool in its place, which is most often the same one */
  #pool(pool: AssembledPool, before: Names | undefined): PoolColumns {
    const known = this.#ofPool.get(pool);
    if (known !== undefined) return known;
    const members = membersOf(pool);
    const made: PoolColumns = {
      names: before !== undefined && isOf(before, pool.name, members) ? before : namesOf(pool.name, members),
      states: Float64Array.from(members.flatMap(({ state }) => STATES.map((each) => Number(each === state)))),
      up: Float64Array.from(members, ({ health }) => Number(health === 'up')),
      reachable: Float64Array.from(members, ({ unreachable }) => Number(unreachable !== true)),
      weight: Float64Array.from(members, ({ weight }) => weight),
      slots: Float64Array.from(slotsOf(pool.tables).subarray(0, members.length)),
    };
    this.#ofPool.set(pool, made);
    return made;
  }
}

type Members = AssembledPool['tables']['members'];

function namesOf(pool: string, members: Members): Names {
  const rows = members.map(({ name }) => [pool, name]);
  return {
    rows,
    stateRows: rows.flatMap((row) => STATES.map((state) => [...row, state])),
    agents: members.map(agentOf),
  };
}

function isOf({ rows, agents }: Names, pool: string, members: Members): boolean {
  return (
    rows.length === members.length &&
    members.every((member, i) => {
      const [ofPool, name] = rows[i];
      return ofPool === pool && name === member.name && agents[i] === agentOf(member);
    })
  );
}

function agentOf({ agent, address }: Members[number]): string | undefined {
  return agent ? address.text : undefined;
}

function joinedNames(parts: readonly Names[]): Names {
  return {
    rows: parts.flatMap(({ rows }) => rows),
    stateRows: parts.flatMap(({ stateRows }) => stateRows),
    agents: parts.flatMap(({ agents }) => agents),
  };
}

/** Without those of remembered states only. */
function membersOf({ tables, state }: AssembledPool): Members {
  return tables.members.slice(0, state.length);
}

function joined(columns: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(columns.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const column of columns) {
    all.set(column, at);
    at += column.length;
  }
  return all;
}
