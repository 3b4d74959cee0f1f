/** `anyhop table`: shows a pool's lookup table, how even it is, and what a failure moves. */
import { Command, Option } from 'commander';
import { nearest } from '../config/nearest.js';
import type { Config, PoolConfig } from '../config/types.js';
import { AnyhopError } from '../core/errors.js';
import { amount, percent } from '../core/figures.js';
import { statesOfConfig } from '../pool/states.js';
import { type EligibilityMode, eligibility } from '../table/eligible.js';
import { type Evenness, evenness } from '../table/evenness.js';
import { buildStack, NONE } from '../table/layers.js';
import { type PoolTables, resolvePool } from '../table/resolve.js';
import type { PoolState } from '../table/state.js';
import { labelled, someOf } from './format.js';
import { type ConfigOptions, configOption, loadFor } from './options.js';
import { writeOut, writeResult } from './output.js';

interface TableOptions extends ConfigOptions {
  readonly pool?: string;
  readonly down?: readonly string[];
  readonly dump?: true;
  readonly json?: true;
}

export function tableCommand(): Command {
  return new Command('table')
    .summary('show how even the lookup table of a pool is, and its digests')
    .description(
      'Builds the lookup table of a pool from the config file and shows how even it is, which backend owns which slot, and what a ' +
        'failure moves. It does not ask a node: every backend is up, except those of --down.',
    )
    .addOption(configOption())
    .option('-p, --pool <name>', 'the pool (default: the only one)')
    .option('--down <name>', 'treat this backend as down; can be repeated', collect)
    .addOption(
      new Option(
        '--dump',
        'print slot,owner,alternate_1,alternate_2 of every slot as CSV, and nothing else',
      ).conflicts('json'),
    )
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
With --down, the remembered state has all backends up: the alternate of a slot that moves is its former owner. Two nodes with the
same key and the same digest send every flow to the same backend.

Examples:
  anyhop table -c fleet.yaml --pool web
  anyhop table -c fleet.yaml --pool web --down web-3
  anyhop table -c fleet.yaml --pool web --down web-3 --dump | grep ,web-3$ | wc -l`,
    )
    .action((options: TableOptions) => {
      table(loadFor('pools', options), options);
    });
}

function table(config: Config, options: TableOptions): void {
  const pool = findPool(config, options.pool);
  const configured = statesOfConfig(pool);
  const down = new Set((options.down ?? []).map((name) => findBackend(pool, name)));
  const state: PoolState = configured.state.map((member) =>
    down.has(member.name) ? { ...member, health: 'down' } : member,
  );
  const remembered = down.size > 0 ? [configured.state] : configured.remembered;

  const start = performance.now();
  const stack = buildStack(state, pool.tableSize);
  const built = performance.now();
  const tables = resolvePool({ ...configured, state, remembered, stack });
  const resolved = performance.now();
  if (options.dump) {
    writeOut(dump(tables));
    return;
  }

  const eligible = eligibility(state, pool.panicThreshold);
  const summary: Summary = {
    pool: pool.name,
    slots: pool.tableSize,
    layers: tables.layers,
    backends: pool.backends.length,
    mode: tables.mode,
    evenness: evenness(tables, eligible.members),
    moved:
      down.size > 0
        ? countMoves(resolvePool({ ...configured, remembered: [], before: tables }), tables, down)
        : undefined,
    ownersDigest: tables.ownersDigest,
    alternatesDigest: tables.alternatesDigest,
    buildMs: { layers: built - start, tables: resolved - built },
  };
  writeResult(options.json, summary, () => describe(summary, [...down]));
}

interface Summary {
  readonly pool: string;
  readonly slots: number;
  readonly layers: number;
  readonly backends: number;
  readonly mode: EligibilityMode;
  readonly evenness: Evenness | undefined;
  readonly moved: Moves | undefined;
  readonly ownersDigest: string;
  readonly alternatesDigest: string;
  readonly buildMs: { readonly layers: number; readonly tables: number };
}

interface Moves {
  /** Slots with another owner than before. */
  readonly slots: number;
  /** Those whose former owner is not down. */
  readonly betweenHealthy: number;
}

function countMoves(before: PoolTables, after: PoolTables, down: ReadonlySet<string>): Moves {
  let slots = 0;
  let betweenHealthy = 0;
  for (let slot = 0; slot < after.owners.length; slot++) {
    if (before.owners[slot] === after.owners[slot]) continue;
    slots++;
    if (before.owners[slot] !== NONE && !down.has(before.names[before.owners[slot]])) betweenHealthy++;
  }
  return { slots, betweenHealthy };
}

const MODES: Record<EligibilityMode, string> = {
  normal: 'backends that are up and active own slots',
  panic: 'panic: too few backends are up, so all active ones own slots',
  draining: 'no active backend is up: those that are up and draining own slots',
  all_down: 'no backend is up: all active ones own slots, because a try is better than a certain drop',
  none: 'no backend may own a slot: every packet is dropped',
};

function describe(summary: Summary, down: readonly string[]): string {
  const { evenness: even, moved, slots } = summary;
  const rows: [string, string][] = [];
  if (down.length > 0) rows.push(['down', someOf(down)]);
  if (summary.mode !== 'normal') rows.push(['mode', MODES[summary.mode]]);
  if (even !== undefined) {
    rows.push(
      ['owning', amount(even.backends, 'backend')],
      ['slots each', `min ${even.min}, max ${even.max}, mean ${Number(even.mean.toFixed(2))}`],
      ['variation', `coefficient ${even.cv.toFixed(4)}, max/mean ${even.maxOverMean.toFixed(4)}`],
      ['busiest', `${even.busiest}, ${even.maxOverShare.toFixed(4)} of its share by weight`],
    );
  }
  if (moved !== undefined) {
    const share = percent(moved.slots / slots);
    rows.push([
      'moved',
      `${amount(moved.slots, 'slot')} (${share}), ${moved.betweenHealthy} between healthy backends`,
    ]);
  }
  rows.push(
    ['owners', summary.ownersDigest],
    ['alternates', summary.alternatesDigest],
    [
      'build time',
      `${summary.buildMs.layers.toFixed(1)}ms layers, ${summary.buildMs.tables.toFixed(1)}ms owners and alternates`,
    ],
  );
  const title = `pool ${summary.pool}: ${amount(summary.backends, 'backend')}, ${slots} slots, ${amount(summary.layers, 'layer')}\n`;
  return `${title}${labelled(rows)}${sentence(summary)}\n`;
}

function sentence({ pool, evenness: even, moved }: Summary): string {
  if (even === undefined) return `Pool ${pool} forwards nothing.`;
  const excess = even.maxOverShare - 1;
  const busiest =
    excess < 0.00005
      ? 'Every backend gets its share of the flows.'
      : `The busiest backend gets ${percent(excess)} more flows than its share.`;
  const load =
    even.idle.length === 0
      ? busiest
      : `These backends own no slot and get no flows: ${someOf(even.idle)}. Their weight is too small compared with the others.`;
  if (moved === undefined) return load;
  return moved.betweenHealthy === 0
    ? `Only flows of backends that went down move. ${load}`
    : `Flows also move between healthy backends, because the pool has left its normal mode. ${load}`;
}

function dump(tables: PoolTables): string {
  const { names, owners, alternates } = tables;
  const name = (index: number): string => (index === NONE ? '' : names[index]);
  const slots = owners.length;
  const lines = ['slot,owner,alternate_1,alternate_2'];
  for (let slot = 0; slot < slots; slot++) {
    lines.push([slot, ...[owners[slot], alternates[slot], alternates[slots + slot]].map(name)].join());
  }
  return `${lines.join('\n')}\n`;
}

function collect(name: string, names: readonly string[] = []): string[] {
  return [...names, name];
}

function findPool(config: Config, name: string | undefined): PoolConfig {
  const names = config.pools.map((pool) => pool.name);
  if (name === undefined) {
    if (config.pools.length === 1) return config.pools[0];
    throw new AnyhopError('ERR_USAGE', `${config.file} has ${names.length} pools`, {
      hint: `Name one with --pool: ${someOf(names)}.`,
    });
  }
  const pool = config.pools.find((candidate) => candidate.name === name);
  if (pool === undefined) throw unknownName('pool', name, names, config.file);
  return pool;
}

function findBackend(pool: PoolConfig, name: string): string {
  const names = pool.backends.map((backend) => backend.name);
  if (!names.includes(name)) throw unknownName('backend', name, names, `pool ${pool.name}`);
  return name;
}

function unknownName(what: string, name: string, known: readonly string[], where: string): AnyhopError {
  const meant = nearest(name, known);
  return new AnyhopError('ERR_USAGE', `${where} has no ${what} named ${JSON.stringify(name)}`, {
    hint: `${meant === undefined ? '' : `Did you mean ${meant}? `}Its ${what}s: ${someOf(known)}.`,
  });
}
