/**
 * What somebody on call has to know first, the worst on top. `bad`: packets are lost, or may be. `warn`: something failed and is made up for.
 * `note`: somebody wanted it, and it is under way.
 */
import { amount, lasting, percent, short } from '../core/figures.js';
import { listed } from '../core/listed.js';
import type { BackendRow } from './backends.js';
import type { Difference } from './compare.js';
import type { DefenceRows } from './defence.js';
import { ofDefence } from './defence-troubles.js';
import { groupedBy, where } from './gather.js';
import type { NodeRow } from './nodes.js';
import type { PoolRow } from './pools.js';
import type { ServiceRow } from './services.js';
import type { ActionRates, VerdictRow } from './verdicts.js';

export const LEVELS = ['note', 'warn', 'bad'] as const;
export type Level = (typeof LEVELS)[number];

export interface Trouble {
  readonly level: Level;
  /** Stable. */
  readonly kind: string;
  /** One sentence without a full stop. Parts of it may come from other machines. */
  readonly text: string;
  /** What it is about, where that is one thing. */
  readonly node?: string;
  readonly service?: string;
  readonly pool?: string;
  /** The first of them. */
  readonly backend?: string;
  readonly verdict?: string;
}

export interface Rows {
  readonly nodes: readonly NodeRow[];
  readonly services: readonly ServiceRow[];
  readonly pools: readonly PoolRow[];
  readonly backends: readonly BackendRow[];
  readonly verdicts: readonly VerdictRow[];
  readonly defence: DefenceRows;
}

/** Drops that no client causes by what it sends. */
const OUR_DROPS: ReadonlySet<string> = new Set([
  'drop_no_backend',
  'drop_headroom',
  'drop_too_big',
  'drop_too_big_limited',
]);
/** Drops that are wanted: an attack is told instead. */
const DEFENCE_DROPS: ReadonlySet<string> = new Set([
  'drop_blocked',
  'drop_source_rate',
  'drop_service_rate',
  'drop_syn_limited',
]);
/** Of packets for VIPs: a few drops are normal on an open network. */
const DROPS_SHARE_NORMAL = 0.01;

export function troublesOf(rows: Rows, rates: ActionRates): Trouble[] {
  const all = [
    ...rows.nodes.flatMap(ofNode),
    ...ofServices(rows),
    ...rows.pools.flatMap((pool) => ofPool(pool, rows.nodes.length)),
    ...ofKeys(rows.pools),
    ...ofBackends(rows.backends),
    ...ofDefence(rows.defence, rows.nodes.length),
    ...ofDrops(rows.verdicts, rates),
  ];
  return LEVELS.toReversed().flatMap((level) => all.filter((one) => one.level === level));
}

function ofNode({ name: node, state, reasons, ageMs, detail }: NodeRow): Trouble[] {
  const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`;
  const found: Trouble[] = [];
  const add = (level: Level, kind: string, text: string): void => {
    found.push({ level, kind, text, node });
  };
  if (state === 'unknown') add('bad', 'node_silent', `${node} has not answered yet${why}`);
  if (state === 'silent')
    add('bad', 'node_silent', `${node} has not answered for ${lasting(ageMs ?? 0)}${why}`);
  if (state === 'not_ready') add('bad', 'node_not_ready', `${node} is not ready${why}`);
  if (detail === undefined || state === 'silent') return found;
  const { imageFailed, refused, logLost, differences, losses } = detail;
  if (losses.missed)
    add(
      'bad',
      'missed',
      `${node} does not get to see ${short(losses.missed)} packets/s: its receive ring is full`,
    );
  if (losses.sendFailed)
    add('bad', 'send_failed', `${node} fails to send ${short(losses.sendFailed)} packets/s`);
  if (imageFailed !== undefined)
    add('bad', 'image_failed', `${node} cannot bring its tables into force: ${imageFailed}`);
  if (refused !== undefined)
    add(
      'warn',
      'config_refused',
      `${node} refused its config file and keeps the former: ${refused.split('\n', 1)[0]}`,
    );
  if (logLost !== undefined)
    add('warn', 'log_lost', `${node} could not write ${amount(logLost, 'line')} of its log`);
  for (const difference of differences) add(...differs(node, difference));
  return found;
}

function differs(node: string, { what, pool, from }: Difference): [Level, string, string] {
  const others = listed(from);
  switch (what) {
    case 'key':
      return [
        'bad',
        'key_differs',
        `${node} has another key than ${others}: flows reach other backends through it`,
      ];
    case 'flow_hash':
      return [
        'bad',
        'flow_hash_differs',
        `${node} hashes flows differently from ${others}: their versions do not fit`,
      ];
    case 'owners':
      return ['warn', 'owners_differ', `${node} has other owners in pool ${pool} than ${others}`];
    case 'version':
      return ['note', 'version_differs', `${node} runs another version than ${others}`];
  }
}

/** One a pool and reason: its services have the same. */
function ofServices({ services, nodes }: Rows): Trouble[] {
  const answering = nodes.filter(({ state }) => state === 'ready' || state === 'not_ready').length;
  const notReady = groupedBy(
    services.filter(({ ready }) => !ready),
    ({ notReadyOn }) =>
      `${where(
        notReadyOn.map(({ node }) => node),
        answering,
      )}: ${notReadyOn[0].reason}`,
  );
  return [
    ...[...notReady].map(([said, some]): Trouble => {
      const names = some.map(({ name }) => name);
      return {
        level: 'bad',
        kind: 'service_not_ready',
        text: `${plural('service', names)} not ready${said}`,
        service: names[0],
        pool: some[0].pool,
      };
    }),
    ...services.flatMap(({ name: service, differs: isDifferent, missingOn }): Trouble[] => {
      const also: Trouble[] = [];
      if (isDifferent)
        also.push({
          level: 'bad',
          kind: 'service_differs',
          text: `nodes have service ${service} with different VIPs, ports or pools`,
          service,
        });
      if (missingOn.length > 0)
        also.push({
          level: 'bad',
          kind: 'service_missing',
          text: `${listed(missingOn)} does not have service ${service}`,
          service,
        });
      return also;
    }),
  ];
}

function ofPool({ name: pool, needs, queued, backends }: PoolRow, nodes: number): Trouble[] {
  const found: Trouble[] = [];
  const modes = groupedBy(needs, ({ mode }) => mode);
  for (const [mode, on] of modes) {
    const at = where(
      on.map(({ node }) => node),
      nodes,
    );
    found.push({
      level: 'bad',
      kind: 'pool_need',
      text: `pool ${pool} ${NEEDS.get(mode) ?? `is in mode ${mode}`}${at}`,
      pool,
    });
  }
  if (queued.length > 0)
    found.push({
      level: 'note',
      kind: 'changes_wait',
      text: `pool ${pool}: ${queued.length === 1 ? '1 change waits' : `${queued.length} changes wait`}: ${queued[0].changes.join('; ')}`,
      pool,
    });
  if (backends.total === 0)
    found.push({ level: 'bad', kind: 'pool_empty', text: `pool ${pool} has no backend`, pool });
  return found;
}

/** One for all pools with the same keys. */
function ofKeys(pools: readonly PoolRow[]): Trouble[] {
  const changing = pools.flatMap(({ name, keys }) => (keys === undefined ? [] : [{ name, ...keys }]));
  return [...groupedBy(changing, ({ is, was }) => `${was} -> ${is}`)].map(([keys, some]) => {
    const names = some.map(({ name }) => name);
    const left = lasting(Math.max(...some.map(({ leftMs }) => leftMs)));
    return {
      level: 'note',
      kind: 'key_changes',
      text: `the flow hash key changes, ${keys}: connections of before need the former one for ${left} more (${names.length === 1 ? 'pool' : 'pools'} ${listed(names)})`,
      pool: names[0],
    };
  });
}

const NEEDS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    panic: 'has too few backends up: health marks are ignored',
    all_down: 'has no backend up: all are tried',
    draining: 'has only draining backends up: they take new flows',
    none: 'has no backend that may take packets',
  }),
);

function ofBackends(rows: readonly BackendRow[]): Trouble[] {
  const down = groupedBy(
    rows.filter(({ downOn }) => downOn.length > 0),
    (row) =>
      `${row.pool} ${row.state} ${where(row.downOn, row.nodes)}: ${row.reason ?? 'no reason is known'}`,
  );
  const draining = groupedBy(
    rows.filter(({ isDraining }) => isDraining),
    ({ pool, drain }) => `${pool} ${drain?.done === true}`,
  );
  const silent = groupedBy(
    rows.filter(({ agent }) => agent?.reachable === false),
    ({ pool }) => pool,
  );
  const lacking = groupedBy(
    rows.filter(({ agent }) => agent?.reachable && (agent.missingVips ?? []).length > 0),
    ({ pool, agent }) => `${pool} ${agent!.missingVips!.join(' ')}`,
  );
  return [
    ...[...down.values()].map((some): Trouble => {
      const [{ pool, state, sinceMs, downOn, nodes, reason }] = some;
      const names = some.map(({ name }) => name);
      const age = some.length > 1 || sinceMs === undefined ? '' : ` for ${lasting(sinceMs)}`;
      return {
        level: 'warn',
        kind: 'backend_down',
        text: `${pool}: ${verb(names)} ${state}${age}${where(downOn, nodes)}: ${reason ?? 'no reason is known'}`,
        pool,
        backend: names[0],
      };
    }),
    ...[...silent].map(([pool, some]): Trouble => {
      const names = some.map(({ name }) => name);
      const text = `${pool}: no answer from the ${names.length === 1 ? 'agent' : 'agents'} of ${listed(names)}: ${some[0].agent?.why ?? 'no reason is known'}`;
      return { level: 'warn', kind: 'agent_silent', text, pool, backend: names[0] };
    }),
    ...[...lacking.values()].map((some): Trouble => {
      const [{ pool, agent }] = some;
      const names = some.map(({ name }) => name);
      const hosts = names.length === 1 ? 'host' : 'hosts';
      const text = `${pool}: VIP ${listed(agent!.missingVips!)} is not on the ${hosts} of ${listed(names)}, which ${names.length === 1 ? 'drops' : 'drop'} its packets`;
      return { level: 'warn', kind: 'vip_missing', text, pool, backend: names[0] };
    }),
    ...[...draining.values()].map((some): Trouble => {
      const [{ pool, drain }] = some;
      const names = some.map(({ name }) => name);
      const left = some.reduce((total, row) => total + (row.drain?.connections ?? Number.NaN), 0);
      const text = drain?.done
        ? `${pool}: ${verb(names)} drained`
        : `${pool}: ${verb(names)} draining, ${Number.isNaN(left) ? 'connections left: unknown' : `${amount(left, 'connection')} left`}`;
      return { level: 'note', kind: 'backend_draining', text, pool, backend: names[0] };
    }),
  ];
}

function ofDrops(verdicts: readonly VerdictRow[], { forward, answer }: ActionRates): Trouble[] {
  const drops = verdicts.filter(
    ({ name, action, packetsPerSecond }) =>
      action === 'drop' && packetsPerSecond > 0 && !DEFENCE_DROPS.has(name),
  );
  const ours = drops.filter(({ name }) => OUR_DROPS.has(name));
  const drop = drops.reduce((total, { packetsPerSecond }) => total + packetsPerSecond, 0);
  const share = drop / (forward + answer + drop);
  const most = drops.reduce<VerdictRow | undefined>(
    (one, other) => (one === undefined || other.packetsPerSecond > one.packetsPerSecond ? other : one),
    undefined,
  );
  return [
    ...ours.map(({ name: verdict, packetsPerSecond, meaning }): Trouble => {
      const text = `${verdict}: ${short(packetsPerSecond)} packets/s are dropped: ${meaning}`;
      return { level: 'bad', kind: 'drops', text, verdict };
    }),
    ...(most === undefined || share <= DROPS_SHARE_NORMAL || OUR_DROPS.has(most.name)
      ? []
      : [
          {
            level: 'warn' as const,
            kind: 'drops',
            text: `${percent(share)} of the packets for VIPs are dropped, most by ${most.name}: ${most.meaning}`,
            verdict: most.name,
          },
        ]),
  ];
}

function plural(what: string, names: readonly string[]): string {
  return names.length === 1 ? `${what} ${names[0]} is` : `${what}s ${listed(names)} are`;
}

function verb(names: readonly string[]): string {
  return `${listed(names)} ${names.length === 1 ? 'is' : 'are'}`;
}
