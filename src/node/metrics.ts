/**
 * What a node measures, as tables: read from what is in force and from counters. What only another image changes is made once an image
 * (backend-columns.ts), so that 5,000 backends take a millisecond.
 */
import type {
  BackendStatus,
  ConfigFileStatus,
  DiscoveryStatus,
  DrainStatus,
  FleetStatus,
  Readiness,
} from '../api/status.js';
import type { NodeConfig } from '../config/types.js';
import { L, VERDICTS } from '../core/layout.gen.js';
import type { Engine } from '../engine/contract.js';
import { COUNTERS_PER_ENTRY } from '../forward/counters.js';
import { poolSourceTable, upstreamSourceTable } from '../metrics/discovery.js';
import { type Histogram, histogramColumn } from '../metrics/histogram.js';
import { reloadTable } from '../metrics/reloads.js';
import { info, type MetricTable, single, states } from '../metrics/table.js';
import type { Membership } from '../pool/membership.js';
import type { EligibilityMode } from '../table/eligible.js';
import type { PathReportCounts } from '../underlay/path-mtus.js';
import type { AssembledPool, Assembly } from './assemble.js';
import { BackendColumns } from './backend-columns.js';
import type { CheckTimes } from './check-times.js';
import { defenceTables } from './defence-metrics.js';
import type { DefenceSources } from './defend-report.js';

export interface NodeMeasures {
  readonly node: NodeConfig & { readonly interface: string };
  readonly keyFingerprint: () => string;
  readonly configFile: () => ConfigFileStatus;
  readonly readiness: () => Readiness;
  /** Why what the node remembers is not kept; undefined when it is. */
  readonly unkept: () => string | undefined;
  /** How many views of nodes it goes by; undefined where it goes by its own alone. */
  readonly views?: (() => number | undefined) | undefined;
  /** Undefined for a node whose config is in no store. */
  readonly fleet?: (() => FleetStatus | undefined) | undefined;
  /** Empty where this node asks no source of backends. */
  readonly discovery?: (() => readonly DiscoveryStatus[]) | undefined;
  readonly checks: CheckTimes;
  readonly pools: () => Membership;
  readonly pathReports: () => Readonly<PathReportCounts>;
  /** By the text of a backend's address; undefined before it was asked. */
  readonly agent: (address: string) => BackendStatus['agent'];
  /** Undefined for a member that does not drain. */
  readonly drain: (pool: string, backend: string) => Pick<DrainStatus, 'done'> | undefined;
  /** Undefined until the node forwards. */
  readonly defence: () => DefenceSources | undefined;
  /** Undefined until the node forwards. */
  readonly forwarded: () => Measured | undefined;
}

export interface Measured {
  readonly engine: Engine;
  /** Whether another engine would be faster, and does not work here. */
  readonly isSlower: boolean;
  readonly forwarding: {
    readonly assembly: Assembly;
    readonly failure: string | undefined;
    readonly publishTimes: Histogram;
  };
}

const MODES: readonly EligibilityMode[] = ['normal', 'panic', 'draining', 'all_down', 'none'];
const verdictRows = VERDICTS.map(({ name }) => [name]);

export class NodeMetrics {
  readonly #measures: NodeMeasures;
  readonly #backends = new BackendColumns();

  constructor(measures: NodeMeasures) {
    this.#measures = measures;
  }

  async collect(): Promise<readonly MetricTable[]> {
    const { node, keyFingerprint, configFile, readiness, unkept, checks, forwarded } = this.#measures;
    const { ready, services } = readiness();
    const { loadedAt, refused } = configFile();
    const running = forwarded();
    const views = this.#measures.views?.();
    const fleet = this.#measures.fleet?.();
    const sources = this.#measures.discovery?.() ?? [];
    checks.keep(this.#measures.pools());
    return [
      single({ anyhop_ready: ready, anyhop_state_not_kept: unkept() !== undefined }),
      reloadTable(refused === undefined, Date.parse(loadedAt)),
      info('anyhop_node_info', [[node.name, node.interface, keyFingerprint(), String(L.FLOW_HASH_VERSION)]]),
      {
        rows: services.map(({ name }) => [name]),
        columns: { anyhop_service_ready: services.map((each) => Number(each.ready)) },
      },
      ...(views === undefined ? [] : [single({ anyhop_health_views: views })]),
      ...(fleet === undefined ? [] : [ofFleet(fleet)]),
      poolSourceTable(sources),
      upstreamSourceTable(sources),
      ...checks.tables(),
      ...(running === undefined ? [] : await this.#ofEngine(running)),
    ];
  }

  async #ofEngine({ engine, isSlower, forwarding }: Measured): Promise<readonly MetricTable[]> {
    const { received, sent, sendFailed, missed } = await engine.engineCounters();
    const counters = engine.counters();
    const { assembly, failure, publishTimes } = forwarding; // after the wait: one that goes with the counters
    const { raised, withoutSize, unrelated, lost } = this.#measures.pathReports();
    const defence = this.#measures.defence();
    return [
      info('anyhop_engine_info', [[engine.name, engine.mode]]),
      single({
        anyhop_engine_slower_than_fastest: isSlower,
        anyhop_engine_detached: engine.detached !== undefined,
        anyhop_engine_received_packets_total: received,
        anyhop_engine_sent_packets_total: sent,
        anyhop_engine_send_failed_packets_total: sendFailed,
        anyhop_engine_missed_packets_total: missed,
        anyhop_image_generation: assembly.image.generation,
        anyhop_image_bytes: assembly.image.bytes.length,
        anyhop_image_publish_failed: failure !== undefined,
      }),
      { rows: [[]], columns: { anyhop_image_publish_seconds: histogramColumn([publishTimes]) } },
      {
        rows: [['raised'], ['without_size'], ['unrelated'], ['lost']],
        columns: { anyhop_path_reports_total: [raised, withoutSize, unrelated, lost] },
      },
      {
        rows: verdictRows,
        columns: { anyhop_packets_total: counters.verdicts.subarray(0, verdictRows.length) },
      },
      ...this.#ofServices(assembly, counters.services),
      ...this.#ofPools(assembly.pools),
      ...(defence === undefined ? [] : defenceTables(defence)),
      ...this.#backends.tables(assembly, counters.backends, this.#measures.agent),
    ];
  }

  #ofServices({ services, numbers }: Assembly, counted: Float64Array): readonly MetricTable[] {
    const at = services.map(({ name }) => numbers.services.of(name) * COUNTERS_PER_ENTRY);
    return [
      info(
        'anyhop_service_info',
        services.map(({ name, vip, protocol, portFirst, portLast, pool }) => {
          const port = portFirst === portLast ? String(portFirst) : `${portFirst}-${portLast}`;
          return [name, vip.text, protocol, port, pool];
        }),
      ),
      {
        rows: services.map(({ name }) => [name]),
        columns: {
          anyhop_service_packets_total: at.map((index) => counted[index] ?? 0),
          anyhop_service_bytes_total: at.map((index) => counted[index + 1] ?? 0),
        },
      },
    ];
  }

  #ofPools(pools: readonly AssembledPool[]): readonly MetricTable[] {
    const memberships = this.#measures.pools();
    const drains = pools.map(({ name, state }) => {
      const draining = state.filter((member) => member.state === 'draining');
      const done = draining.filter((member) => this.#measures.drain(name, member.name)?.done === true);
      return [draining.length - done.length, done.length];
    });
    return [
      info(
        'anyhop_pool_info',
        pools.map(({ name, tables }) => [name, tables.ownersDigest]),
      ),
      info(
        'anyhop_pool_alternates_info',
        pools.map(({ name, tables }) => [name, tables.alternatesDigest]),
      ),
      states(
        'anyhop_pool_mode',
        MODES,
        pools.map(({ name, tables }) => ({ labels: [name], state: tables.mode })),
      ),
      {
        rows: pools.flatMap(({ name }) => [
          [name, 'open'],
          [name, 'done'],
        ]),
        columns: { anyhop_pool_drains: drains.flat() },
      },
      {
        rows: pools.map(({ name }) => [name]),
        columns: {
          anyhop_pool_slots: pools.map(({ slots }) => slots),
          anyhop_pool_remembered_states: pools.map(({ remembered }) => remembered.length),
          anyhop_pool_changes_waiting: pools.map(
            ({ name }) => memberships.get(name)?.changes.queue.length ?? 0,
          ),
        },
      },
    ];
  }
}

function ofFleet({ revision, revisionOfFleet, store }: FleetStatus): MetricTable {
  return single({
    anyhop_fleet_revision: revision,
    anyhop_fleet_revision_in_store: revisionOfFleet ?? 0,
    anyhop_fleet_store_reachable: store.fault === undefined && store.answeredAt !== null,
    anyhop_fleet_store_answered_timestamp_seconds:
      store.answeredAt === null ? 0 : Date.parse(store.answeredAt) / 1000,
  });
}
