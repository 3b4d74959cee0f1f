/** `anyhop announce` without a mode: follows the node, in the foreground. */
import { type AnnounceLoaded, type Part, runAnnounce } from '../announce/run.js';
import { TrackFile } from '../announce/track-file.js';
import { createLog, type LogLevel } from '../core/log.js';
import { type AnnounceOptions, loadAnnounce } from './announce-place.js';

export async function followNode(options: AnnounceOptions, logLevel: LogLevel): Promise<void> {
  const log = createLog(logLevel);
  const parts = async ({ announce: { trackFile } }: AnnounceLoaded): Promise<readonly Part[]> =>
    trackFile === undefined ? [] : [new TrackFile(trackFile, log)];
  await runAnnounce((): AnnounceLoaded => loadAnnounce(options), log, parts);
}
