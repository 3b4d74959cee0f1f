/** A list from an HTTP server, in JSON or YAML as in a file. With ETags (RFC 9110, section 8.8.3) an unchanged list is not sent again. */
import type { HttpSourceConfig } from '../../config/discover/types.js';
import type { Found, Source } from '../answer.js';
import { readEntries } from '../entries.js';
import type { Reading } from '../reading.js';
import { get, tokenIn } from './get.js';

const [OK, NOT_MODIFIED] = [200, 304];

export function httpSource(
  { url, everyMs, timeoutMs, caFile, tokenFile }: HttpSourceConfig,
  reading: Reading,
): Source {
  let known: { readonly etag: string; readonly found: readonly Found[] } | undefined;
  return {
    words: url,
    ask: async (signal) => {
      const headers = {
        accept: 'application/json, application/yaml',
        ...(known !== undefined && { 'if-none-match': known.etag }),
        ...(tokenFile !== undefined && { authorization: `Bearer ${tokenIn(tokenFile)}` }),
      };
      const { status, headers: said, body } = await get({ url, headers, caFile, timeoutMs, signal });
      if (status === NOT_MODIFIED && known !== undefined) return { found: known.found, againMs: everyMs };
      if (status !== OK) throw new Error(`${url}: HTTP status ${status}; expected ${OK}`);
      const found = readEntries(body, url, reading);
      const { etag } = said;
      known = typeof etag === 'string' ? { etag, found } : undefined;
      return { found, againMs: everyMs };
    },
  };
}
