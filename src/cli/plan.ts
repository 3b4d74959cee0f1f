/** `anyhop plan`: what a change of the config would do to the flows that are alive, asked of a node or of two files. */
import { Command } from 'commander';
import type { Config, PoolConfig, ServiceConfig } from '../config/types.js';
import type { PlanReport } from '../control/api.js';
import { AnyhopError } from '../core/errors.js';
import { type PoolPlan, planPool } from '../maglev/plan.js';
import { serviceChanges } from '../pool/service-changes.js';
import { findSocket, socketOption, tell } from './control-client.js';
import { someOf } from './format.js';
import { loadFor } from './options.js';
import { drawFilePlan, drawNodePlan } from './plan-text.js';

interface PlanOptions {
  readonly socket?: string;
  readonly json?: true;
}

export function planCommand(): Command {
  return new Command('plan')
    .summary('say what a change of the config would do to flows, before it is made')
    .description(
      'Says pool by pool which slots a change moves, which flows break, and how even the tables are. Without files a running ' +
        'node is asked what "anyhop reload" would do now: it compares its config file with what is in force.',
    )
    .argument('[old]', 'the config that runs now')
    .argument('[new]', 'the config that would take its place')
    .addOption(socketOption())
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `
Slots move unavoidably when their backend leaves, drains or changes weight, or when a new backend takes its share; other
moves are collateral. Flows are counted for the moment of the change, all backends up and flows spread evenly. Second
chance keeps TCP flows of services that have it on, where both backends run an agent; UDP has none.
A node also says what would wait until when, and what --force would break instead. Of two files, an OLD with "prior:" has
not settled from its own change: flows born before and after that one are told apart.
The fleet's key is not compared: a new key moves every flow.
Exit codes: 0 told, 1 no node answers, 2 a config that is wrong, or wrong usage.

Examples:
  anyhop plan && anyhop reload
  anyhop plan /etc/anyhop/anyhop.yaml next.yaml
  anyhop plan old.yaml new.yaml --json`,
    )
    .action(async (oldFile: string | undefined, newFile: string | undefined, options: PlanOptions) => {
      process.stdout.write(
        oldFile === undefined ? await askNode(options) : compareFiles(oldFile, newFile, options),
      );
    });
}

async function askNode({ socket, json }: PlanOptions): Promise<string> {
  const report = (await tell(socket ?? (await findSocket()), '/plan', {})) as PlanReport;
  return json ? `${JSON.stringify(report)}\n` : drawNodePlan(report);
}

function compareFiles(oldFile: string, newFile: string | undefined, { socket, json }: PlanOptions): string {
  if (newFile === undefined || socket !== undefined) {
    throw new AnyhopError(
      'ERR_USAGE',
      'two files are compared with each other, and no node is asked for that',
      {
        hint: 'Name OLD and NEW without --socket, or no file: a node compares its own file with what is in force.',
      },
    );
  }
  const report = plan(loadFor('pools', { config: oldFile }), loadFor('pools', { config: newFile }));
  return json ? `${JSON.stringify(report)}\n` : drawFilePlan(report);
}

export interface FilePoolReport {
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

export interface FileReport {
  readonly pools: readonly FilePoolReport[];
  /** What moves flows beside the tables. */
  readonly services: readonly string[];
}

function plan(before: Config, after: Config): FileReport {
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
): FilePoolReport {
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
