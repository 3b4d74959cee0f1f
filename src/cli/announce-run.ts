/** `anyhop announce` without a mode: follows the node, in the foreground. */
import '../core/small-heap.js'; // before the config is read
import { dirname } from 'node:path';
import { RegionPart } from '../announce/region/part.js';
import { warnAboutReversePath } from '../announce/reverse-path.js';
import { type AnnounceLoaded, type Part, runAnnounce } from '../announce/run.js';
import { TrackFile } from '../announce/track-file.js';
import { keptRevision, revisionDirectory, watchRevision } from '../config/fleet/kept.js';
import { deferred } from '../core/deferred.js';
import { createLog, type Logger, type LogLevel } from '../core/log.js';
import { LateEvents } from '../events/late.js';
import { type AnnounceOptions, loadAnnounce } from './announce-place.js';
import { isInFleet } from './fleet-file.js';

export async function followNode(options: AnnounceOptions, logLevel: LogLevel): Promise<void> {
  const events = new LateEvents(createLog(logLevel));
  const { log } = events;
  const parts = async (config: AnnounceLoaded): Promise<readonly Part[]> => {
    const { trackFile } = config.announce;
    const region = RegionPart.of(config, log);
    return [
      ...(trackFile === undefined ? [] : [new TrackFile(trackFile, log)]),
      ...(region === undefined ? [] : [region]),
    ];
  };
  const loaded = (): AnnounceLoaded => {
    const config = load(options);
    const { socket, node } = config.place;
    events.keepIn({ directory: dirname(socket), name: `${node}-announce`, field: 'announce.socket' });
    return config;
  };
  const { config: file } = options;
  if (!isInFleet(file)) {
    await events.during(() => runAnnounce(loaded, log, parts));
    return;
  }
  const directory = revisionDirectory(file, options.stateDir);
  await events.during(async () => {
    await firstRevision(file, directory, log);
    // Before the config is read: what comes into force meanwhile must not be missed.
    let isDue = false;
    let told = (): void => {
      isDue = true;
    };
    const stop = watchRevision(file, () => told(), directory);
    try {
      await runAnnounce(loaded, log, parts, (changed) => {
        told = changed;
        if (isDue) changed();
        return stop;
      });
    } finally {
      stop();
    }
  });
}

/** `anyhop run` on this host takes part in the fleet, and keeps what is in force. */
async function firstRevision(file: string, directory: string, log: Logger): Promise<void> {
  const kept = deferred<void>();
  const isThere = (): boolean => keptRevision(file, directory) !== undefined;
  const stop = watchRevision(
    file,
    () => {
      if (isThere()) kept.resolve();
    },
    directory,
  );
  try {
    if (isThere()) return;
    log.warn(
      { event: 'fleet_waits' },
      'nothing to announce yet: no revision of the fleet has been in force on this host, where "anyhop run" takes part in it',
    );
    await kept.promise;
  } finally {
    stop();
  }
}

function load(options: AnnounceOptions): AnnounceLoaded {
  const config = loadAnnounce(options, true);
  const { announce, place } = config;
  return {
    announce,
    place,
    warnings: [...config.warnings, ...warnAboutReversePath(config, place.interface)],
  };
}
