/** What a node says of itself when it is asked for its status: read from what is in force and from what is followed anyway. */
import type { DefendSummary } from '../api/defend.js';
import type {
  AgentStatus,
  BackendStatus,
  CheckStatus,
  ConfigFileStatus,
  DiscoveryStatus,
  DrainStatus,
  FleetStatus,
  FormerStatus,
  NodeStatus,
  OverrideStatus,
  PoolChangeStatus,
  Readiness,
  Traffic,
  VerdictStatus,
} from '../api/status.js';
import { checkNames } from '../config/check-names.js';
import type { Config, HealthConfig, NodeConfig } from '../config/types.js';
import { known } from '../core/known.js';
import { L, VERDICTS } from '../core/layout.gen.js';
import { logLosses } from '../core/log-sink.js';
import { VERSION } from '../core/version.js';
import type { Engine } from '../engine/contract.js';
import { COUNTERS_PER_ENTRY } from '../forward/counters.js';
import type { CheckState } from '../health/health-checks.js';
import { imageDigest } from '../image/inspect.js';
import type { StateMember } from '../pool/states.js';
import { slotsOf } from '../table/slots.js';
import type { PathReportCounts } from '../underlay/path-mtus.js';
import { agentFor } from './agent-lacks.js';
import type { Assembly } from './assemble.js';
import type { HealthMark } from './marks.js';
import type { Rates } from './rates.js';

/** Of milliseconds, after the point: a check through the tunnel takes some tenths. */
const TOOK_DIGITS = 3;

export interface StatusInput {
  readonly config: Config;
  readonly node: NodeConfig & { readonly interface: string };
  readonly startedAt: Date;
  readonly keyFingerprint: string;
  readonly engine: Engine;
  readonly engineReason: string;
  readonly forwarding: { readonly assembly: Assembly; readonly failure?: string | undefined };
  readonly rates: Rates;
  /** By the text of a backend's address. */
  readonly nextHop: (address: string) => BackendStatus['nextHop'];
  readonly pathReports: () => Readonly<PathReportCounts>;
  /** By the pool's name, then by the backend's. */
  readonly marks: (pool: string) => ReadonlyMap<string, HealthMark>;
  /** Of a backend, in the order of the file. */
  readonly checksOf: (pool: string, backend: string) => readonly CheckState[];
  readonly readiness: () => Readiness;
  readonly configFile: () => ConfigFileStatus;
  /** Undefined for a node whose config is in no store. */
  readonly fleet: () => FleetStatus | undefined;
  readonly discovery: () => readonly DiscoveryStatus[];
  readonly overrides: () => readonly OverrideStatus[];
  /** By the pool's name. */
  readonly change: (pool: string) => PoolChangeStatus;
  /** By the text of a backend's address; undefined before it was asked. */
  readonly agent: (address: string) => AgentStatus | undefined;
  /** Undefined for a member that does not drain. */
  readonly drain: (pool: string, backend: string) => DrainStatus | undefined;
  /** Undefined when no service has rules. */
  readonly defend: () => DefendSummary | undefined;
}

export async function nodeStatus(input: StatusInput): Promise<NodeStatus> {
  const { config, node, engine } = input;
  const engineCounters = await engine.engineCounters();
  const { assembly } = input.forwarding; // after the wait: one that goes with the counters
  const { sample, rate } = input.rates.now();
  const traffic = (kind: 'services' | 'backends', name: string): Traffic => {
    const at = assembly.numbers[kind].of(name) * COUNTERS_PER_ENTRY;
    return {
      packets: sample[kind][at] ?? 0,
      bytes: sample[kind][at + 1] ?? 0,
      packetsPerSecond: rate(kind, at),
      bytesPerSecond: rate(kind, at + 1),
    };
  };
  const checks = new Map(config.pools.map(({ name, health }) => [name, namesOf(health)]));
  const losses = logLosses();
  const defend = input.defend();
  const fleet = input.fleet();
  const discovery = input.discovery();
  return {
    node: node.name,
    version: VERSION,
    pid: process.pid,
    startedAt: input.startedAt.toISOString(),
    interface: node.interface,
    keyFingerprint: input.keyFingerprint,
    flowHashVersion: L.FLOW_HASH_VERSION,
    readiness: input.readiness(),
    config: input.configFile(),
    ...(losses !== undefined && { log: { lost: losses.lines, why: losses.why } }),
    overrides: input.overrides(),
    engine: {
      name: engine.name,
      mode: engine.mode,
      reason: input.engineReason,
      counters: {
        received: known(engineCounters.received),
        sent: known(engineCounters.sent),
        sendFailed: known(engineCounters.sendFailed),
        missed: known(engineCounters.missed),
      },
    },
    image: {
      generation: assembly.image.generation,
      digest: imageDigest(assembly.image),
      bytes: assembly.image.bytes.length,
      ...(input.forwarding.failure !== undefined && { failed: input.forwarding.failure }),
    },
    services: config.services.map(
      ({ name, vip, protocol, portFirst, portLast, pool, hash, secondChance }) => ({
        name,
        vip: vip.text,
        protocol,
        portFirst,
        portLast,
        pool,
        hash,
        secondChance,
        ...traffic('services', name),
      }),
    ),
    pools: assembly.pools.map(
      ({ name: pool, slots: size, panicThreshold = 0, state, remembered, tables }) => {
        const slots = slotsOf(tables);
        const served = config.services.filter((service) => service.pool === pool);
        const agentOf = (address: string): AgentStatus | undefined => agentFor(served, input.agent(address));
        const check = checks.get(pool);
        const marks = input.marks(pool);
        return {
          name: pool,
          mode: tables.mode,
          slots: size,
          layers: tables.layers,
          panicThreshold,
          remembered: remembered.map((former) => former.map(formerStatus)),
          change: input.change(pool),
          digests: { owners: tables.ownersDigest, alternates: tables.alternatesDigest },
          backends: tables.members.slice(0, state.length).flatMap((backend, index): BackendStatus[] => {
            // `health` is what the tables were made by; the mark may be newer.
            const { name, address, weight, state, health, unreachable } = backend;
            const nextHop = input.nextHop(address.text);
            const mark = marks.get(name);
            if (mark === undefined) return []; // it came into force a moment ago
            const { reason, since } = mark;
            const drain = input.drain(pool, name);
            const agent = backend.agent ? agentOf(address.text) : undefined;
            return [
              {
                name,
                address: address.text,
                id: backend.id,
                hasAgent: backend.agent,
                weight,
                state,
                health,
                ...(health === mark.health && reason !== undefined && { healthReason: reason }),
                healthSince: since.toISOString(),
                reachable: unreachable !== true,
                ...(check && { check, checks: input.checksOf(pool, name).map(checkStatus) }),
                slots: slots[index],
                ...(drain && { drain }),
                ...(agent && { agent }),
                nextHop,
                ...traffic('backends', `${pool}/${name}`),
              },
            ];
          }),
        };
      },
    ),
    ...(defend && { defend }),
    ...(fleet && { fleet }),
    ...(discovery.length > 0 && { discovery }),
    pathReports: { ...input.pathReports() },
    verdicts: Object.fromEntries(
      VERDICTS.flatMap(({ name }, number): [string, VerdictStatus][] => {
        const packets = sample.verdicts[number] ?? 0;
        return packets === 0 ? [] : [[name, { packets, packetsPerSecond: rate('verdicts', number) }]];
      }),
    ),
  };
}

/** The kind of one check, and the names of several; undefined for none. */
function namesOf(checks: readonly HealthConfig[]): string | undefined {
  return checks.length > 1 ? checkNames(checks).join(', ') : checks[0]?.kind;
}

function checkStatus({ result, last }: CheckState, index: number, all: readonly CheckState[]): CheckStatus {
  return {
    name: all.length > 1 ? checkNames(all.map(({ check }) => check))[index] : all[0].check.kind,
    ...(result && { passes: result.isUp }),
    ...(last && {
      last: {
        at: new Date(last.endedAtMs).toISOString(),
        tookMs: Number(last.tookMs.toFixed(TOOK_DIGITS)),
        outcome: last.outcome,
        ...(last.failure !== undefined && { reason: last.failure }),
      },
    }),
  };
}

function formerStatus({ name, address, weight, state, health, unreachable }: StateMember): FormerStatus {
  return {
    name,
    address: address.text,
    weight,
    state,
    health: health === 'up' ? 'up' : 'down',
    reachable: unreachable !== true,
  };
}
