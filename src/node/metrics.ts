/**
 * What a node measures, as tables: read from what is in force and from counters, without a string made for a series that was there
 * before. 5,000 backends take 1 ms.
 */
import type { ConfigFileStatus, Readiness } from '../api/status.js';
import type { NodeConfig } from '../config/types.js';
import { L, VERDICTS } from '../core/layout.gen.js';
import type { Engine } from '../engine/contract.js';
import { COUNTERS_PER_ENTRY } from '../forward/counters.js';
import { info, type MetricTable, single } from '../metrics/table.js';
import type { AssembledPool, Assembly } from './assemble.js';

export interface NodeMeasures {
  readonly node: NodeConfig & { readonly interface: string };
  readonly keyFingerprint: () => string;
  readonly configFile: () => ConfigFileStatus;
  readonly readiness: () => Readiness;
  /** Undefined until the node forwards. */
  readonly forwarded: () =>
    | { readonly engine: Engine; readonly forwarding: { readonly assembly: Assembly } }
    | undefined;
}

/** What a pool's tables say of its members: the same for as long as they are in force. */
interface PoolPart {
  readonly rows: readonly (readonly string[])[];
  readonly up: Uint8Array;
}

const verdictRows = VERDICTS.map(({ name }) => [name]);

export class NodeMetrics {
  readonly #measures: NodeMeasures;
  readonly #parts = new WeakMap<AssembledPool, PoolPart>();

  constructor(measures: NodeMeasures) {
    this.#measures = measures;
  }

  async collect(): Promise<readonly MetricTable[]> {
    const { node, keyFingerprint, configFile, readiness, forwarded } = this.#measures;
    const { ready, services } = readiness();
    const { loadedAt, refused } = configFile();
    const running = forwarded();
    return [
      single({
        anyhop_ready: ready,
        anyhop_config_last_reload_successful: refused === undefined,
        anyhop_config_last_reload_timestamp_seconds: Date.parse(loadedAt) / 1000,
      }),
      info('anyhop_node_info', [[node.name, node.interface, keyFingerprint(), String(L.FLOW_HASH_VERSION)]]),
      {
        rows: services.map(({ name }) => [name]),
        columns: { anyhop_service_ready: services.map((each) => Number(each.ready)) },
      },
      ...(running === undefined ? [] : await this.#ofEngine(running.engine, running.forwarding)),
    ];
  }

  async #ofEngine(
    engine: Engine,
    forwarding: { readonly assembly: Assembly },
  ): Promise<readonly MetricTable[]> {
    const { received, sent, sendFailed, missed } = await engine.engineCounters();
    const { verdicts, services, backends } = engine.counters();
    const { assembly } = forwarding; // after the wait: one that goes with the counters
    const serviceNumbers = assembly.services.map(({ name }) => assembly.numbers.services.of(name));
    const parts = assembly.pools.map((pool) => this.#partOf(pool));
    const backendNumbers = assembly.pools.flatMap(({ name, tables, state }) =>
      tables.names.slice(0, state.length).map((each) => assembly.numbers.backends.of(`${name}/${each}`)),
    );
    return [
      info('anyhop_engine_info', [[engine.name, engine.mode]]),
      single({
        anyhop_engine_received_packets_total: received,
        anyhop_engine_sent_packets_total: sent,
        anyhop_engine_send_failed_packets_total: sendFailed,
        anyhop_engine_missed_packets_total: missed,
      }),
      { rows: verdictRows, columns: { anyhop_packets_total: verdicts.subarray(0, verdictRows.length) } },
      {
        rows: assembly.services.map(({ name }) => [name]),
        columns: {
          anyhop_service_packets_total: picked(services, serviceNumbers, 0),
          anyhop_service_bytes_total: picked(services, serviceNumbers, 1),
        },
      },
      {
        rows: parts.flatMap(({ rows }) => rows),
        columns: {
          anyhop_backend_packets_total: picked(backends, backendNumbers, 0),
          anyhop_backend_bytes_total: picked(backends, backendNumbers, 1),
          anyhop_backend_up: joined(parts.map(({ up }) => up)),
        },
      },
    ];
  }

  #partOf(pool: AssembledPool): PoolPart {
    let part = this.#parts.get(pool);
    if (part === undefined) {
      const members = pool.tables.members.slice(0, pool.state.length);
      part = {
        rows: members.map(({ name }) => [pool.name, name]),
        up: Uint8Array.from(members, ({ health }) => Number(health === 'up')),
      };
      this.#parts.set(pool, part);
    }
    return part;
  }
}

/** Of each counter its packets (0) or bytes (1); one that has not counted yet has none. */
function picked(counters: Float64Array, numbers: readonly number[], which: 0 | 1): Float64Array {
  return Float64Array.from(numbers, (number) => counters[number * COUNTERS_PER_ENTRY + which] ?? 0);
}

function joined(columns: readonly Uint8Array[]): Float64Array {
  const all = new Float64Array(columns.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const column of columns) {
    all.set(column, at);
    at += column.length;
  }
  return all;
}
