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

/** Of a pool's members, in their order. */
interface PoolColumns {
  readonly rows: readonly (readonly string[])[];
  readonly stateRows: readonly (readonly string[])[];
  readonly states: Float64Array;
  readonly up: Float64Array;
  readonly reachable: Float64Array;
  readonly weight: Float64Array;
  readonly slots: Float64Array;
  /** Where an agent is asked; undefined for a backend without one. */
  readonly agents: readonly (string | undefined)[];
}

/** Of all pools, one after the other. */
interface AllColumns extends PoolColumns {
  readonly mtu: Float64Array;
  /** Where packets are counted; bytes are beside. */
  readonly at: Uint32Array;
}

export class BackendColumns {
  readonly #ofPool = new WeakMap<AssembledPool, PoolColumns>();
  #last: { readonly assembly: Assembly; readonly all: AllColumns } | undefined;

  tables(
    assembly: Assembly,
    counted: Float64Array,
    agent: (address: string) => BackendStatus['agent'],
  ): MetricTable[] {
    const all = this.#all(assembly);
    const { length } = all.rows;
    const packets = new Float64Array(length);
    const bytes = new Float64Array(length);
    const agentUp = new Float64Array(length);
    const connections = new Float64Array(length);
    for (let i = 0; i < length; i++) {
      packets[i] = counted[all.at[i]] ?? 0;
      bytes[i] = counted[all.at[i] + 1] ?? 0;
      const address = all.agents[i];
      const status = address === undefined ? undefined : agent(address);
      agentUp[i] = status === undefined ? Number.NaN : Number(status.reachable);
      connections[i] = status?.connections ?? Number.NaN;
    }
    return [
      {
        rows: all.rows,
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
      { rows: all.stateRows, columns: { anyhop_backend_state: all.states } },
    ];
  }

  #all(assembly: Assembly): AllColumns {
    if (this.#last?.assembly === assembly) return this.#last.all;
    const { pools, paths, numbers } = assembly;
    const parts = pools.map((pool) => this.#pool(pool));
    const members = pools.flatMap((pool) => membersOf(pool).map((member) => ({ pool, member })));
    const all: AllColumns = {
      rows: parts.flatMap(({ rows }) => rows),
      stateRows: parts.flatMap(({ stateRows }) => stateRows),
      states: joined(parts.map(({ states }) => states)),
      up: joined(parts.map(({ up }) => up)),
      reachable: joined(parts.map(({ reachable }) => reachable)),
      weight: joined(parts.map(({ weight }) => weight)),
      slots: joined(parts.map(({ slots }) => slots)),
      agents: parts.flatMap(({ agents }) => agents),
      mtu: Float64Array.from(members, ({ member }) => paths.get(member)?.mtu ?? Number.NaN),
      at: Uint32Array.from(
        members,
        ({ pool, member }) => numbers.backends.of(`${pool.name}/${member.name}`) * COUNTERS_PER_ENTRY,
      ),
    };
    this.#last = { assembly, all };
    return all;
  }

  #pool(pool: AssembledPool): PoolColumns {
    const known = this.#ofPool.get(pool);
    if (known !== undefined) return known;
    const members = membersOf(pool);
    const rows = members.map(({ name }) => [pool.name, name]);
    const made: PoolColumns = {
      rows,
      stateRows: rows.flatMap((row) => STATES.map((state) => [...row, state])),
      states: Float64Array.from(members.flatMap(({ state }) => STATES.map((each) => Number(each === state)))),
      up: Float64Array.from(members, ({ health }) => Number(health === 'up')),
      reachable: Float64Array.from(members, ({ unreachable }) => Number(unreachable !== true)),
      weight: Float64Array.from(members, ({ weight }) => weight),
      slots: Float64Array.from(slotsOf(pool.tables).subarray(0, members.length)),
      agents: members.map(({ agent, address }) => (agent ? address.text : undefined)),
    };
    this.#ofPool.set(pool, made);
    return made;
  }
}

/** Without those of remembered states only. */
function membersOf({ tables, state }: AssembledPool): AssembledPool['tables']['members'] {
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
