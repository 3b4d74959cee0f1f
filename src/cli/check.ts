/**
 * `anyhop check`: checks a config and shows what the node would do. It only reads files, and this machine's addresses and routes.
 */
import { Command } from 'commander';
import { warnAboutReversePath } from '../announce/reverse-path.js';
import { ConfigError, type ConfigProblem, formatProblem } from '../config/error.js';
import { type ConfigSummary, type PoolSummary, summarize } from '../config/summary.js';
import { EXIT } from '../core/errors.js';
import { amount, percent } from '../core/figures.js';
import { drawDefence } from './defend-check-text.js';
import { isInFleet } from './fleet-file.js';
import { aligned } from './format.js';
import { drawL7Summary } from './l7-summary-text.js';
import { warnAboutListFiles } from './list-files.js';
import { warnAboutNarrowRoutes } from './narrow-routes.js';
import {
  type ConfigOptions,
  configOption,
  hostInterfaces,
  loadFor,
  type NodeOptions,
  nodeOptions,
} from './options.js';
import { writeOut } from './output.js';

interface CheckOptions extends ConfigOptions, NodeOptions {
  readonly agent?: boolean;
  readonly json?: boolean;
}

export function checkCommand(): Command {
  const command = new Command('check')
    .description('check a config file and print what the node would do')
    .addOption(configOption())
    .option('--agent', 'check for `anyhop agent`: the file needs the section agent, but neither node nor key')
    .option('--json', 'print JSON: {ok, warnings, summary}, or {ok, problems}');
  for (const option of nodeOptions()) command.addOption(option);
  return command
    .addHelpText(
      'after',
      `
Check a new file before it replaces the old one:

  anyhop check -c new.yaml && mv new.yaml /etc/anyhop/anyhop.yaml

Every problem is listed as file:line:column. Files of defend.allow and defend.block are read: what is wrong in them is a warning, since a
node starts all the same. Files that the section l7 names are read on the proxy hosts only: "anyhop l7 check" checks them.
Exit codes: 0 the file is good (it may have warnings), 2 it is not.`,
    )
    .action((options: CheckOptions) => check(options));
}

async function check(options: CheckOptions): Promise<void> {
  try {
    const host = hostInterfaces();
    // What sources find is in the store of the fleet, and need not be in a file of it.
    const mayLackFound = isInFleet(options.config);
    const loaded = options.agent
      ? loadFor('agent', options, { host, mayLackFound })
      : loadFor('node', options, { host, mayLackFound });
    const { warnings: ofFile, ...config } = loaded;
    const ofMachine = options.agent
      ? []
      : [
          ...warnAboutListFiles(loaded.defend, loaded.file),
          ...(await warnAboutNarrowRoutes(loaded)),
          ...warnAboutReversePath(loaded, loaded.node?.interface),
        ];
    const warnings = [...ofFile, ...ofMachine];
    const summary = summarize(config);
    if (options.json) printJson({ ok: true, warnings, summary });
    else writeOut(formatSummary(config.file, summary, warnings));
  } catch (error) {
    if (!(error instanceof ConfigError) || !options.json) throw error;
    printJson({ ok: false, problems: error.problems });
    process.exitCode = EXIT.usage;
  }
}

function printJson(value: unknown): void {
  writeOut(`${JSON.stringify(value, null, 2)}\n`);
}

function formatSummary(file: string, summary: ConfigSummary, warnings: readonly ConfigProblem[]): string {
  const lines = [`${file}: good`];
  const { node, agent } = summary;
  if (node !== undefined) {
    const networkInterface = node.interface ?? 'not set (run needs --interface)';
    lines.push('', `node ${node.name}: interface ${networkInterface}, engine ${node.engine}`);
    lines.push(`  GRE from ${node.source.join(' and ')}`);
    for (const prefix of node.source.filter((source) => source.includes('/')))
      lines.push(
        `  route ${prefix} to this node: without it, routers that say "too big" about GRE packets do not reach it`,
      );
  }
  if (node?.metrics !== undefined) lines.push(`  ${metricsText(node.metrics)}`);
  if (node?.siblings !== undefined) lines.push(`  siblings: ${node.siblings.join(', ')}`);
  if (agent !== undefined) {
    lines.push('', `agent: interface ${agent.interface ?? 'not set (agent needs --interface)'}`);
    lines.push(`  GRE accepted from ${agent.forwarders.join(', ')} and from backends`);
  }
  for (const pool of summary.pools) lines.push('', ...formatPool(pool));
  if (summary.services.length > 0) lines.push('', 'services');
  lines.push(
    ...indented(
      summary.services.map((service) => [
        service.name,
        `${service.vip} ${service.protocol} ${service.port}`,
        `to pool ${service.pool}`,
        `by ${service.hash}`,
        `second chance ${service.secondChance ? 'on' : 'off'}`,
      ]),
    ),
  );
  if (summary.defend !== undefined)
    lines.push(
      '',
      ...drawDefence(
        summary.defend,
        summary.services.map(({ name }) => name),
      ),
    );
  if (node !== undefined) lines.push('', ...announceText(summary.announce));
  if (summary.l7 !== undefined) lines.push('', ...drawL7Summary(summary.l7));
  if (warnings.length > 0)
    lines.push('', 'warnings', ...warnings.map((warning) => `  ${formatProblem(warning)}`));
  return `${lines.join('\n')}\n`;
}

type Metrics = NonNullable<NonNullable<ConfigSummary['node']>['metrics']>;

function metricsText({ listen, tls, clientCertificates, password }: Metrics): string {
  const asks = [...(clientCertificates ? ['a certificate'] : []), ...(password ? ['a password'] : [])];
  const whom = asks.length === 0 ? 'anybody' : `clients with ${asks.join(' and ')}`;
  return `metrics and dashboard on ${tls ? 'https' : 'http'}://${listen} for ${whom}`;
}

function announceText(announce: ConfigSummary['announce']): string[] {
  const { vips, table, metric, drainMetric, withdrawWhen, trackFile, region } = announce;
  const when = withdrawWhen === 'pool_down' ? ', withdrawn when no backend is up' : '';
  const lines = [
    `announced by "anyhop announce", if it runs: ${vips.join(', ') || 'no VIP'}`,
    `  rows in table ${table}, metric ${metric}, ${drainMetric} while the node stops${when}`,
  ];
  if (trackFile !== undefined) lines.push(`  keepalived follows ${trackFile}`);
  if (region !== undefined) lines.push(`  in region ${region}`);
  return lines;
}

function formatPool(pool: PoolSummary): string[] {
  const panic = pool.panicThreshold > 0 ? `, all count as up below ${percent(pool.panicThreshold)} up` : '';
  const rows = pool.backends.map((backend) => [
    backend.name,
    backend.address,
    `weight ${backend.weight}`,
    backend.state,
    `${percent(backend.share)} by weight`,
    backend.agent ? 'agent' : 'plain tunnel',
  ]);
  const lines = [
    `pool ${pool.name}: ${amount(pool.backends.length, 'backend')}${pool.discovered ? ' from a source' : ''}, ${pool.tableSize} slots${panic}`,
    ...indented(rows),
  ];
  lines.push(...formatHealth(pool));
  if (pool.prior !== undefined) {
    lines.push('  prior state');
    lines.push(
      ...indented(
        pool.prior.map((member) => [
          member.name,
          member.address,
          `weight ${member.weight}`,
          member.state,
          member.health,
        ]),
      ),
    );
  }
  return lines;
}

function formatHealth({ health, deadAfter }: PoolSummary): string[] {
  const lines = health.map(
    ({ kind, tries, interval, fall, rise }, index) =>
      `  ${index === 0 ? '' : 'and '}checked by ${kind}, ${tries.join(', ')}, every ${interval}: down after ` +
      `${fall} failures, up after ${rise} good ones`,
  );
  const end = `given up ${deadAfter} after going down`;
  if (lines.length > 1) return [...lines, `  up only when all ${lines.length} checks say so, ${end}`];
  return lines.map((line) => `${line}, ${end}`);
}

function indented(rows: readonly (readonly string[])[]): string[] {
  return aligned(rows).map((line) => `  ${line}`);
}
