/** The text of a config in the store: compressed, named by the SHA-256 of the text, written once. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { AnyhopError } from '../core/errors.js';
import { CONFIG_BYTES_MAX, FLEET_BLOB_BYTES_MAX } from '../core/limits.js';
import { blobPlace } from './places.js';
import { BadRecord, digestOfText, type Revision } from './record.js';
import type { Store } from './store.js';

/** @throws AnyhopError ERR_FLEET when the store would not take it */
export function packed(text: string): string {
  const value = gzipSync(text).toString('base64');
  if (value.length <= FLEET_BLOB_BYTES_MAX) return value;
  throw new AnyhopError(
    'ERR_FLEET',
    `the config has ${value.length} bytes when compressed; the store takes ${FLEET_BLOB_BYTES_MAX}`,
    { hint: 'Lists of defence belong into files of their own.', exitCode: 2 },
  );
}

/** @throws BadRecord when it is not there, or not what the record says; AnyhopError ERR_STORE */
export async function textOf(store: Store, { config }: Pick<Revision, 'config'>): Promise<string> {
  const value = (await store.get(blobPlace(config)))?.value;
  if (value === undefined) throw new BadRecord('its text is not in the store');
  let text: string;
  try {
    text = gunzipSync(Buffer.from(value, 'base64'), { maxOutputLength: CONFIG_BYTES_MAX }).toString('utf8');
  } catch {
    throw new BadRecord('its text cannot be unpacked');
  }
  if (digestOfText(text) !== config) throw new BadRecord('its text is another than the one that was signed');
  return text;
}
