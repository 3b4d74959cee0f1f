/** `anyhop announce --region`: on a DNS host, keeps what gdnsd answers by what the nodes of the regions say. */
import { askRegions, type RegionsKnown, runRegions } from '../announce/region/run.js';
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

function drawRegions({ hosts, nodes }: RegionsKnown): string {
  const lines = [
    ...columns(
      ['node', 'region', 'state', 'weight', 'reason'],
      nodes.map(({ name, region, view }) => {
        if (view.state !== 'heard')
          return [name, region, view.state, '-', view.state === 'lost' ? view.why : ''];
        const { ready, draining, weight } = view.answer;
        return [name, region, ready ? 'ready' : draining ? 'draining' : 'not ready', `${weight}`, ''];
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
