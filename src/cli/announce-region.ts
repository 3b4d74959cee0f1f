/** `anyhop announce --region`: on a DNS host, keeps what gdnsd answers by what the nodes of the regions say. */
import type { RegionAnswer } from '../announce/region/answer.js';
import { askRegions, type RegionsKnown, runRegions } from '../announce/region/run.js';
import { listed } from '../core/listed.js';
import { createLog, type LogLevel } from '../core/log.js';
import { columns } from './format.js';
import { type ConfigOptions, loadFor } from './options.js';
import { writeResult } from './output.js';

export interface RegionOptions extends ConfigOptions {
  readonly once?: true;
  readonly prepare?: true;
  readonly json?: true;
}

/** @throws ConfigError; AnyhopError when the files cannot be written */
export async function steerDns(options: RegionOptions, logLevel: LogLevel): Promise<void> {
  const load = () => loadFor('region', { config: options.config });
  if (options.once === undefined && options.prepare === undefined) {
    process.exitCode = await runRegions(load, createLog(logLevel));
    return;
  }
  const known = await askRegions(load(), createLog('silent'), options.prepare === true);
  writeResult(options.json, known, drawRegions);
}

export function drawRegions({ hosts, nodes }: RegionsKnown): string {
  const vipsOf = (region: string): string[] =>
    hosts.flatMap(({ regions }) => regions.flatMap(({ name, vips }) => (name === region ? vips : [])));
  const lines = [
    ...columns(
      ['node', 'region', 'state', 'weight', 'reason'],
      nodes.map(({ name, region, view }) => {
        if (view.state !== 'heard')
          return [name, region, view.state, '-', view.state === 'lost' ? view.why : ''];
        const { ready, draining, weight } = view.answer;
        const state = ready ? 'ready' : draining ? 'draining' : 'not ready';
        return [name, region, state, `${weight}`, lacking(view.answer, vipsOf(region))];
      }),
      new Set(['weight']),
    ),
    '',
    ...columns(
      ['host', 'region', 'state', 'weight', 'VIPs'],
      hosts.flatMap(({ host, regions, failsOpen }) =>
        regions.map(({ name, isUp, weight, vips }) => [
          host,
          name,
          failsOpen ? 'down, and answered since all are' : isUp ? 'up' : 'down',
          `${weight}`,
          vips.join(' '),
        ]),
      ),
      new Set(['weight']),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

/** Which VIPs of its region a node does not announce, and whether it could. */
function lacking({ vips: own }: RegionAnswer, all: readonly string[]): string {
  const stateOf = new Map(own.map(({ vip, state }) => [vip, state]));
  const withdrawn = all.filter((vip) => stateOf.get(vip) === 'withdrawn');
  const unknown = all.filter((vip) => !stateOf.has(vip));
  return [
    ...(withdrawn.length > 0 ? [`withdrawn: ${listed(withdrawn)}`] : []),
    ...(unknown.length > 0 ? [`its config does not announce ${listed(unknown)}`] : []),
  ].join('; ');
}
