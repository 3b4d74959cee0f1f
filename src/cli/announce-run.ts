/** `anyhop announce` without a mode: follows the node, in the foreground. */
import { RegionPart } from '../announce/region/part.js';
import { type AnnounceLoaded, type Part, runAnnounce } from '../announce/run.js';
import { TrackFile } from '../announce/track-file.js';
import { createLog, type LogLevel } from '../core/log.js';
import { collectGarbage } from '../core/small-heap.js';
import { type AnnounceOptions, loadAnnounce } from './announce-place.js';

/** By then the config has been read, and the first line of the node. */
const STARTED_MS = 3_000;

export async function followNode(options: AnnounceOptions, logLevel: LogLevel): Promise<void> {
  setTimeout(collectGarbage, STARTED_MS).unref();
  const log = createLog(logLevel);
  const parts = async (config: AnnounceLoaded): Promise<readonly Part[]> => {
    const { trackFile } = config.announce;
    const region = RegionPart.of(config, log);
    return [
      ...(trackFile === undefined ? [] : [new TrackFile(trackFile, log)]),
      ...(region === undefined ? [] : [region]),
    ];
  };
  await runAnnounce((): AnnounceLoaded => loadAnnounce(options), log, parts);
}
