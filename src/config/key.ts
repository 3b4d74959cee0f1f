/** The fleet's secret, from the config or from its key file. Messages reveal only its length. */
import { dirname, resolve } from 'node:path';
import { KEY_HEX_DIGITS_MAX } from '../core/limits.js';
import type { DraftNode } from './draft.js';
import { isOpenToOthers, readSmallFile, UnreadableFile } from './file.js';
import { quote } from './path.js';
import type { Report } from './problems.js';
import { KEY_EXPECTED, KEY_PATTERN } from './schema.js';
import { Secret } from './secret.js';
import { describeSecret } from './shape.js';

/** Allows white space around the digits. */
const KEY_FILE_BYTES_MAX = KEY_HEX_DIGITS_MAX + 1024;

/** The secret; undefined without one, or after a report. */
export function readKey(
  node: DraftNode,
  configFile: string,
  report: Report,
  warn: Report,
): Secret | undefined {
  if (node.key !== undefined) return secretOf(node.key);
  if (node.keyFile === undefined) return undefined;
  const at = [...node.at, 'key_file'];
  const path = resolve(dirname(configFile), node.keyFile);
  try {
    const { bytes, mode } = readSmallFile(path, KEY_FILE_BYTES_MAX);
    const text = new TextDecoder().decode(bytes).trim();
    if (!KEY_PATTERN.test(text)) {
      report(at, `${quote(path)} holds ${describeSecret(text)}; expected ${KEY_EXPECTED}`);
      return undefined;
    }
    if (isOpenToOthers(mode)) {
      warn(
        at,
        `${quote(path)} holds the secret of the fleet, and every user can access it; run chmod 600 on it`,
      );
    }
    return secretOf(text);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    report(at, `${quote(path)}: ${error.message}`);
    return undefined;
  }
}

function secretOf(digits: string): Secret {
  return new Secret(Uint8Array.from(Buffer.from(digits, 'hex')));
}
