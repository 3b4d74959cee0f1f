/** `anyhop plan OLD NEW`: what rolling out a changed config would do to the flows that are alive. */
import { Command } from 'commander';
import type { Config, PoolConfig, ServiceConfig } from '../config/types.js';
import type { Evenness } from '../maglev/evenness.js';
import { type FlowPlan, type PoolPlan, planPool, type SlotCount } from '../maglev/plan.js';
import { serviceChanges } from '../pool/service-changes.js';
import { amount, labelled, percent, someOf } from './format.js';
import { loadFor } from './options.js';

export function planCommand(): Command {
  return new Command('plan')
    .summary('say what a change of the config would do to flows, before it is rolled out')
    .description(
      'Compares two configs pool by pool: which slots move, which flows break, how even the tables are.',
    )
    .argument('<old>', 'the config that runs now')
    .argument('<new>', 'the config that would take its place')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Slots move unavoidably when their backend leaves, drains or changes weight, or when a new backend takes its share; other
moves are collateral. Flows are counted for the moment of the change, all backends up and flows spread evenly. Second
chance keeps TCP flows of services that have it on, where both backends run an agent; UDP has none. It takes the
state of OLD under "prior:" in NEW, since nodes of this version do not remember it by themselves.
An OLD with "prior:" has not settled from its own change: flows born before and after that one are told apart.
The fleet's key is not compared: a new key moves every flow.

Examples:
  anyhop plan /etc/anyhop/anyhop.yaml next.yaml
  anyhop plan old.yaml new.yaml --json`,
    )
    .action((oldFile: string, newFile: string, options: { readonly json?: true }) => {
      const report = plan(loadFor('pools', { config: oldFile }), loadFor('pools', { config: newFile }));
      process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : describe(report));
    });
}

interface PoolReport {
  readonly pool: string;
  readonly status: 'added' | 'removed' | 'same' | 'changed';
  readonly changes: readonly string[];
  /** Services of NEW that use the pool. */
  readonly services: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly secondChance: boolean;
  }[];
  /** For a pool that is in both files. */
  readonly plan: PoolPlan | undefined;
}

interface Report {
  readonly pools: readonly PoolReport[];
  /** What moves flows beside the tables. */
  readonly services: readonly string[];
}

function plan(before: Config, after: Config): Report {
  const names = [...new Set([...before.pools, ...after.pools].map((pool) => pool.name))].sort();
  return {
    pools: names.map((name) => {
      const isNamed = (pool: PoolConfig): boolean => pool.name === name;
      return planOne(name, before.pools.find(isNamed), after.pools.find(isNamed), after.services);
    }),
    services: serviceChanges(before.services, after.services),
  };
}

function planOne(
  name: string,
  before: PoolConfig | undefined,
  after: PoolConfig | undefined,
  services: readonly ServiceConfig[],
): PoolReport {
  const both = before !== undefined && after !== undefined;
  const changes = both ? poolChanges(before, after) : [];
  return {
    pool: name,
    status:
      before === undefined
        ? 'added'
        : after === undefined
          ? 'removed'
          : changes.length > 0
            ? 'changed'
            : 'same',
    changes,
    services: services
      .filter((service) => service.pool === name)
      .map(({ name: service, protocol, secondChance }) => ({ name: service, protocol, secondChance })),
    plan: both ? planPool(before, after) : undefined,
  };
}

/** What differs, in words; empty when the pool stays as it is. */
function poolChanges(before: PoolConfig, after: PoolConfig): string[] {
  const old = new Map(before.backends.map((backend) => [backend.name, backend]));
  const next = new Map(after.backends.map((backend) => [backend.name, backend]));
  const added = [...next.keys()].filter((name) => !old.has(name));
  const removed = [...old.keys()].filter((name) => !next.has(name));
  const changes: string[] = [];
  if (added.length > 0) changes.push(`${someOf(added)} added`);
  if (removed.length > 0) changes.push(`${someOf(removed)} removed`);
  const differing = (what: 'weight' | 'state' | 'agent', text: (value: unknown) => string): string[] =>
    [...next.values()].flatMap((backend) => {
      const was = old.get(backend.name)?.[what];
      if (was === undefined || was === backend[what]) return [];
      return [`${backend.name} ${what} ${text(was)} -> ${text(backend[what])}`];
    });
  const addresses = [...next.values()].flatMap(({ name, address }) => {
    const was = old.get(name)?.address.text;
    return was === undefined || was === address.text ? [] : [`${name} address ${was} -> ${address.text}`];
  });
  for (const list of [
    differing('state', String),
    differing('weight', String),
    addresses,
    differing('agent', String),
  ]) {
    if (list.length > 0) changes.push(someOf(list));
  }
  if (before.tableSize !== after.tableSize)
    changes.push(`table size ${before.tableSize} -> ${after.tableSize}`);
  if (before.panicThreshold !== after.panicThreshold) {
    changes.push(`panic threshold ${before.panicThreshold} -> ${after.panicThreshold}`);
  }
  if (JSON.stringify(before.prior) !== JSON.stringify(after.prior)) changes.push('prior state');
  return changes;
}

function describe(report: Report): string {
  const parts = report.pools.map(describePool);
  if (report.services.length > 0)
    parts.push(`services\n${report.services.map((line) => `  ${line}\n`).join('')}`);
  return parts.join('\n');
}

function describePool(report: PoolReport): string {
  const { pool, status, changes, plan: planned } = report;
  if (status === 'added') return `pool ${pool}: added; it has no flows yet.\n`;
  if (planned === undefined) return `pool ${pool}: removed; its flows end.\n`;
  const rows: [string, string][] = [];
  if (changes.length > 0) rows.push(['changes', changes.join('; ')]);
  rows.push(
    ['slots moved', slotCount(planned.moved)],
    ['unavoidable', slotCount(planned.unavoidable)],
    ['collateral', slotCount(planned.collateral)],
  );
  for (const flows of planned.flows) rows.push(...describeFlows(flows, planned.flows.length > 1));
  for (const [i, when] of ['before', 'after'].entries()) {
    rows.push([`evenness ${when}`, describeEvenness(planned.evenness[i])]);
    if (planned.mode[i] !== 'normal') rows.push([`mode ${when}`, planned.mode[i].replace('_', ' ')]);
  }
  const [before, after] = planned.slots;
  const slots = before === after ? `${after} slots` : `${before} -> ${after} slots`;
  return `pool ${pool}: ${slots}\n${labelled(rows)}${sentence(report, planned)}\n`;
}

function slotCount({ slots, share }: SlotCount): string {
  return `${amount(slots, 'slot')} (${percent(share)})`;
}

function describeFlows(flows: FlowPlan, told: boolean): [string, string][] {
  const age = told ? `, born ${flows.born === 'before' ? 'before OLD' : 'since OLD'}` : '';
  const kept = percent(flows.tcpBreakWithSecondChance);
  const lost = percent(flows.tcpBreakWithoutSecondChance);
  return [
    [`TCP${age}`, `${kept} of flows break with second chance, ${lost} without`],
    [`UDP${age}`, `${percent(flows.udpMove)} of flows move; UDP has no second chance`],
  ];
}

function describeEvenness(even: Evenness | undefined): string {
  if (even === undefined) return 'no backend owns a slot';
  const { maxOverMean, maxOverShare, cv } = even;
  return `max/mean ${maxOverMean.toFixed(4)}, busiest ${maxOverShare.toFixed(4)} of its share, variation ${cv.toFixed(4)}`;
}

/** What second chance takes besides agents: alternates come from the prior state, and a node takes that from its config. */
const NEEDS_PRIOR = ' and NEW has the state of OLD under "prior:"';

function sentence({ pool, status, services }: PoolReport, { moved, collateral, flows }: PoolPlan): string {
  if (moved.share === 0 && flows.every((age) => age.tcpBreakWithoutSecondChance === 0)) {
    return status === 'same' ? `Pool ${pool} stays as it is.` : `No flow of pool ${pool} moves.`;
  }
  const without = flows.reduce((most, age) => Math.max(most, age.tcpBreakWithoutSecondChance), 0);
  const broken = flows.reduce((most, age) => Math.max(most, age.tcpBreakWithSecondChance), 0);
  const need =
    collateral.share === 0 ? 'all of them unavoidably' : `${percent(collateral.share)} without need`;
  const what =
    moved.share === 0
      ? 'No slot moves, but addresses change'
      : `${percent(moved.share)} of the slots move, ${need}`;
  const promise =
    broken === 0
      ? `no TCP flow breaks where second chance is on${NEEDS_PRIOR}`
      : `up to ${percent(broken)} of TCP flows break even with second chance${NEEDS_PRIOR}`;
  const off = services.filter((service) => service.protocol === 'tcp' && !service.secondChance);
  const warning =
    off.length === 0
      ? ''
      : ` It is off for ${someOf(off.map((service) => service.name))}: ${percent(without)} break there.`;
  return `${what}; ${promise}.${warning}`;
}
