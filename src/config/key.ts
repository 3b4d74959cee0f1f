/**
 * The fleet's secret, from the config or from its key file. The file may hold others, one a line, which are to come into force or were:
 * `key_id` says which one is. In a fleet with a store it is missing while the first change of the key comes, and then nothing else may fail
 * for want of it. Messages reveal only lengths and fingerprints.
 */
import { dirname, resolve } from 'node:path';
import { KEY_HEX_DIGITS_MAX } from '../core/limits.js';
import { listed } from '../core/listed.js';
import type { DraftNode } from './draft.js';
import { isOpenToOthers, readSmallFile, UnreadableFile } from './file.js';
import { keyFingerprint } from './key-fingerprint.js';
import { quote } from './path.js';
import type { Report } from './problems.js';
import { KEY_EXPECTED, KEY_PATTERN } from './schema.js';
import { Secret } from './secret.js';
import { describeSecret } from './shape.js';

/** Allows white space around the digits, and a few secrets. */
const KEY_FILE_BYTES_MAX = KEY_HEX_DIGITS_MAX + 1024;

export interface NodeSecrets {
  /** In force. */
  readonly key: Secret;
  /** Others in the same file. */
  readonly others: readonly Secret[];
}

/** Which of several secrets is taken where `key_id` does not say it; undefined for none. */
export type KeyChoice =
  /** For those who look, with a warning. */
  | { readonly kind: 'first' }
  /** For the node that hashes flows with it. @param id its fingerprint */
  | { readonly kind: 'in_force'; readonly id: string }
  | undefined;

/** The secrets; undefined without any, or after a report. */
export function readKeys(
  node: DraftNode,
  configFile: string,
  choice: KeyChoice,
  report: Report,
  warn: Report,
): NodeSecrets | undefined {
  if (node.key !== undefined) return inForce(node, [node.key], 'node.key', choice, report, warn);
  if (node.keyFile === undefined) return undefined;
  const at = [...node.at, 'key_file'];
  const path = resolve(dirname(configFile), node.keyFile);
  try {
    const { bytes, mode } = readSmallFile(path, KEY_FILE_BYTES_MAX);
    const lines = digitsIn(bytes);
    const wrong = lines.find((line) => !KEY_PATTERN.test(line));
    if (wrong !== undefined) {
      const where = lines.length === 1 ? '' : ' in one of its lines';
      report(at, `${quote(path)} holds ${describeSecret(wrong)}${where}; expected ${KEY_EXPECTED}`);
      return undefined;
    }
    if (isOpenToOthers(mode)) {
      warn(
        at,
        `${quote(path)} holds the secret of the fleet, and every user can access it; run chmod 600 on it`,
      );
    }
    return inForce(node, lines, quote(path), choice, report, warn);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    report(at, `${quote(path)}: ${error.message}`);
    return undefined;
  }
}

/** Fingerprints of the secrets that a key file has by now; none where it cannot be read. */
export function fingerprintsIn(path: string): string[] {
  try {
    return digitsIn(readSmallFile(path, KEY_FILE_BYTES_MAX).bytes)
      .filter((digits) => KEY_PATTERN.test(digits))
      .map((digits) => keyFingerprint(Buffer.from(digits, 'hex')));
  } catch (error) {
    if (error instanceof UnreadableFile) return [];
    throw error;
  }
}

/** One secret a line, for the pattern to check. */
function digitsIn(bytes: Uint8Array): string[] {
  return new TextDecoder()
    .decode(bytes)
    .trim()
    .split(/\s*\n\s*/);
}

/** @param where the digits are, for messages */
function inForce(
  { at, keyId, written }: DraftNode,
  digits: readonly string[],
  where: string,
  choice: KeyChoice,
  report: Report,
  warn: Report,
): NodeSecrets | undefined {
  const known = new Map(digits.map(secretOf).map((secret) => [keyFingerprint(secret.reveal()), secret]));
  if (keyId === undefined && written.has('key_id')) return undefined; // reported
  const [first] = known.keys();
  const has = `${where} has ${listed([...known.keys()])}`;
  const isOpen = keyId === undefined && known.size > 1;
  const chosen = choice?.kind === 'first' ? first : known.has(choice?.id ?? '') ? choice?.id : undefined;
  if (isOpen && choice?.kind === 'first')
    warn([...at, 'key_id'], `missing, and ${has}; the first one is taken here`);
  const id = keyId ?? (isOpen ? chosen : first);
  if (isOpen && id === undefined) {
    report([...at, 'key_id'], `missing, and ${has}; expected the fingerprint of the one that is in force`);
    return undefined;
  }
  const key = known.get(id!);
  if (key === undefined) {
    report([...at, 'key_id'], `found ${id}, and ${has}; expected the fingerprint of a secret that is there`);
    return undefined;
  }
  return { key, others: [...known.values()].filter((each) => each !== key) };
}

function secretOf(digits: string): Secret {
  return new Secret(Uint8Array.from(Buffer.from(digits, 'hex')));
}
