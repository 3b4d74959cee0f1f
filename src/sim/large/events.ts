/**
 * What happens to a large fleet by itself: operators' wishes, crashes, restarts, lost connectivity, lost checks. Each comes so many
 * times an hour, at moments that the seed chooses and that do not depend on what else happens.
 */
import type { BackendConfig } from '../../config/types.js';
import { HEALTH_FALL_DEFAULT, HEALTH_INTERVAL_MS_DEFAULT, WEIGHT_MAX } from '../../core/limits.js';
import type { Agenda } from './agenda.js';
import { Chance, type Spread } from './chance.js';
import type { Node, Nodes } from './nodes.js';
import type { Operator } from './operator.js';
import type { Kind, LargeOptions } from './options.js';
import type { Sight } from './sight.js';

/** How long a node is away that restarts, and a backend that has crashed; how long connectivity is lost. */
const RESTART: Spread = { medianMs: 5_000, p99Ms: 120_000 };
const CRASHED: Spread = { medianMs: 60_000, p99Ms: 600_000 };
const PARTITION: Spread = { medianMs: 30_000, p99Ms: 600_000 };
/** Of nodes, the most that a partition takes. */
const PARTITION_SHARE_MAX = 0.1;
/** Of its backends at the start, what a pool keeps. */
const POOL_SHARE_MIN = 0.5;
const HOUR_MS = 3_600_000;

export interface EventsOf {
  readonly nodes: Nodes;
  readonly sight: Sight;
  readonly operator: Operator;
  readonly agenda: Agenda;
  readonly memberOf: (pool: number) => BackendConfig;
  /** Backends that have crashed. */
  readonly crashed: ReadonlySet<string>;
  /** The machine dies with its connections, or is there again, without any. */
  readonly die: (name: string) => void;
  readonly revive: (name: string) => void;
  /** Something has happened of this kind. */
  readonly count: (kind: Kind) => void;
}

export function scheduleEvents(of: EventsOf, options: LargeOptions): void {
  const { agenda } = of;
  const { seed, endMs, churn, crashes, restarts, partitions } = options;
  const every = (stream: number, perHour: number, act: (chance: Chance) => void): void => {
    const when = new Chance(seed, stream);
    const what = new Chance(seed, stream + 1);
    for (const at of when.moments(perHour, endMs)) agenda.at(at, () => act(what));
  };
  const sizes = of.nodes.head.files.map(({ backends }) => backends.length);
  every(20, churn, (chance) => wish(of, chance, sizes));
  every(22, crashes, (chance) => crash(of, chance));
  every(24, restarts, (chance) => restart(of, chance));
  every(26, partitions, (chance) => partition(of, chance));
  every(28, mistakesPerHour(options), (chance) => mistake(of, chance));
}

/** How often a node of the fleet believes a backend to be down because all checks in a row that this takes were lost. */
function mistakesPerHour({ nodes, backends, loss }: LargeOptions): number {
  const checks = (nodes * backends * HOUR_MS) / HEALTH_INTERVAL_MS_DEFAULT;
  return checks * loss ** HEALTH_FALL_DEFAULT * (1 - loss);
}

function wish(of: EventsOf, chance: Chance, sizes: readonly number[]): void {
  const pool = chance.below(sizes.length);
  const kind = chance.of(['add', 'drain', 'weight'] as const);
  const pick = chance.share();
  const weight = 1 + chance.below(Math.min(3, WEIGHT_MAX));
  const member = kind === 'add' ? of.memberOf(pool) : undefined;
  let name: string | undefined;
  of.operator.ask({
    kind,
    pool,
    edit: (backends) => {
      if (member !== undefined) return [...backends, member];
      const active = backends.filter(({ state }) => state === 'active');
      if (kind === 'drain' && active.length <= POOL_SHARE_MIN * sizes[pool]) return undefined;
      const chosen = active[Math.floor(pick * active.length)];
      name = chosen.name;
      if (kind === 'weight' && chosen.weight === weight) return undefined;
      return edited(backends, name, kind === 'weight' ? { weight } : { state: 'draining' });
    },
    done: () => {
      of.count(kind);
      if (kind === 'drain')
        of.operator.ask({
          kind: 'remove',
          pool,
          edit: (backends) => backends.filter((backend) => backend.name !== name),
          done: () => of.count('remove'),
        });
    },
  });
}

function edited(
  backends: readonly BackendConfig[],
  name: string,
  fields: Partial<BackendConfig>,
): readonly BackendConfig[] {
  return backends.map((backend) => (backend.name === name ? { ...backend, ...fields } : backend));
}

function crash({ nodes, sight, agenda, crashed, die, revive, count }: EventsOf, chance: Chance): void {
  const { backends } = chance.of(nodes.head.files);
  const { name } = chance.of(backends);
  const awayMs = chance.spread(CRASHED);
  if (crashed.has(name)) return;
  die(name);
  count('crash');
  sight.crash(name);
  agenda.in(awayMs, () => {
    revive(name);
    count('recovery');
    sight.recover(name);
  });
}

function restart({ nodes, sight, operator, agenda, count }: EventsOf, chance: Chance): void {
  const node = chance.of(nodes.all);
  const awayMs = chance.spread(RESTART);
  if (!node.isRunning) return;
  count('restart');
  nodes.stop(node, 'restart');
  agenda.in(awayMs, () => {
    nodes.start(node, 'restart');
    operator.returned(node, 'restart');
    sight.reach(node);
  });
}

/** Some nodes lose the store, or one loses the way to some of its backends. */
function partition(of: EventsOf, chance: Chance): void {
  const { nodes, sight, agenda, count } = of;
  const kind = chance.of(['store', 'backends'] as const);
  const share = chance.share();
  const awayMs = chance.spread(PARTITION);
  const first = chance.below(nodes.all.length);
  if (kind === 'backends') {
    const names = nodes.head.files.flatMap(({ backends }) =>
      backends.slice(0, Math.ceil(share * backends.length)).map(({ name }) => name),
    );
    count('blind node');
    sight.blind(nodes.all[first], names, true);
    agenda.in(awayMs, () => sight.blind(nodes.all[first], names, false));
    return;
  }
  const size = Math.ceil(share * PARTITION_SHARE_MAX * nodes.all.length);
  const cut = Array.from({ length: size }, (_, i) => nodes.all[(first + i) % nodes.all.length]).filter(
    ({ hasStore }) => hasStore,
  );
  count('partition');
  for (const node of cut) lose(of, node);
  agenda.in(awayMs, () => {
    for (const node of cut) find(of, node);
  });
}

/** A node loses the store. */
export function lose({ sight, agenda }: EventsOf, node: Node): void {
  node.hasStore = false;
  node.lostStoreAtMs = agenda.nowMs;
  sight.reach(node);
}

/** It has the store again. */
export function find({ sight, operator }: EventsOf, node: Node): void {
  node.hasStore = true;
  operator.returned(node, 'partition');
  sight.reach(node);
}

function mistake({ nodes, sight, count }: EventsOf, chance: Chance): void {
  const node = chance.of(nodes.all);
  const { name } = chance.of(chance.of(nodes.head.files).backends);
  count('lost checks');
  sight.mistake(node, name);
}
