/** `anyhop announce` without a mode: follows the node, in the foreground. */
import { type AnnounceLoaded, runAnnounce } from '../announce/run.js';
import { createLog, type LogLevel } from '../core/log.js';
import { type AnnounceOptions, loadAnnounce } from './announce-place.js';

export async function followNode(options: AnnounceOptions, logLevel: LogLevel): Promise<void> {
  await runAnnounce((): AnnounceLoaded => loadAnnounce(options), createLog(logLevel));
}
