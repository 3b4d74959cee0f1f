/** `anyhop announce --status`. */
import { type AnnounceOptions, askAnnouncer, loadAnnounce } from './announce-place.js';
import { drawAnnounceStatus } from './announce-text.js';
import { writeResult } from './output.js';

export async function showAnnounceStatus(options: AnnounceOptions): Promise<void> {
  const { socket } = loadAnnounce(options).place;
  const status = await askAnnouncer(socket);
  writeResult(options.json, status, drawAnnounceStatus);
}
