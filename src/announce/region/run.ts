/**
 * The process `anyhop announce --region` on a DNS host, from its start to its end.
 *
 *   SIGHUP              reads the config again; a bad one is refused, and the old one stays
 *   SIGTERM, SIGINT     ends; the files stay as they are, so the DNS goes on with what was known last
 */
import { ConfigError, formatProblem, logWarnings } from '../../config/error.js';
import type { LoadedConfig } from '../../config/types.js';
import { EXIT } from '../../core/errors.js';
import { Hangups } from '../../core/hangups.js';
import type { Logger } from '../../core/log.js';
import { reasonOf } from '../../core/reason.js';
import type { HostRegion, HostState } from './judge.js';
import { type FilesPlace, RegionFiles } from './region-files.js';
import { RegionSteering } from './steering.js';
import type { NodeView } from './watched-node.js';

type Config = LoadedConfig<'region'>;

/** @returns the exit code. @throws ConfigError */
export async function runRegions(load: () => Config, log: Logger): Promise<number> {
  const hangups = new Hangups(); // before anything else: a SIGHUP during the start must not end it
  const config = load();
  logWarnings(config.warnings, log);
  const files = new RegionFiles(placeOf(config), log);
  const steering = new RegionSteering(config.announce, (hosts) => void files.set(hosts), log);
  hangups.handle(async () => {
    log.info({ event: 'reload' }, 'SIGHUP: reading the config again');
    reload(load, log, (next) => {
      void files.move(placeOf(next));
      steering.replace(next.announce);
    });
  });
  const signal = await new Promise<string>((resolve) => {
    for (const each of ['SIGTERM', 'SIGINT'] as const) process.once(each, resolve);
  });
  log.info(
    { event: 'stopping', why: signal },
    `${signal}: the files of the regions stay, and the DNS answers what was known last`,
  );
  await hangups.close();
  steering.close();
  await files.close();
  return EXIT.ok;
}

function reload(load: () => Config, log: Logger, use: (config: Config) => void): void {
  try {
    const config = load();
    logWarnings(config.warnings, log);
    use(config);
    log.info({ event: 'reloaded' }, 'the config was read again and is in force');
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map(formatProblem);
    log.error(
      { event: 'reload_refused', problems },
      `the config is wrong, and the former one stays in force: ${problems[0] ?? reasonOf(error)}`,
    );
  }
}

/** What is known after each node was asked, and had its time. */
export interface RegionsKnown {
  readonly hosts: readonly KnownHost[];
  readonly nodes: readonly { readonly name: string; readonly region: string; readonly view: NodeView }[];
}

/** As JSON shows it. */
export interface KnownHost extends Omit<HostState, 'regions'> {
  readonly regions: readonly (Omit<HostRegion, 'vips'> & { readonly vips: readonly string[] })[];
}

/** Asks each node, and says what they say. @param write whether to write the files too, without a reload of the DNS server */
export async function askRegions(config: Config, log: Logger, write: boolean): Promise<RegionsKnown> {
  const { announce } = config;
  let steering: RegionSteering | undefined;
  const hosts = await new Promise<readonly HostState[]>((resolve) => {
    steering = new RegionSteering(announce, resolve, log);
  });
  const nodes = announce.regions.flatMap(({ name: region, nodes: own }) =>
    own.map(({ name }) => ({ name, region, view: steering!.viewOf(name)! })),
  );
  steering!.close();
  if (write) {
    const files = new RegionFiles({ ...placeOf(config), reload: [] }, log);
    await files.setOnce(hosts);
  }
  return {
    nodes,
    hosts: hosts.map((host) => ({
      ...host,
      regions: host.regions.map((region) => ({ ...region, vips: region.vips.map(({ text }) => text) })),
    })),
  };
}

function placeOf({ announce }: Config): FilesPlace {
  return { file: announce.regionFile, reload: announce.regionReload };
}
