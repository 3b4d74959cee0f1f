/**
 * The secrets that a node hashes flows with, or did: those of its config, and, kept beside what it remembers of its pools, those that
 * these refer to. The key file may no longer have the one before, whose connections still live.
 */
import { statSync } from 'node:fs';
import * as z from 'zod';
import { fingerprintsIn } from '../config/key.js';
import { keyFingerprint } from '../config/key-fingerprint.js';
import { KEY_PATTERN } from '../config/schema.js';
import { Secret } from '../config/secret.js';
import type { NodeConfig } from '../config/types.js';
import { FLEET_KEYS_MAX } from '../core/limits.js';
import { readOwnFile, replaceOwnFile } from '../core/own-file.js';
import { reasonOf } from '../core/reason.js';
import type { PoolMemory } from '../pool/membership.js';

/** Each pool has a present one and one before, and few have others than the rest. */
const KEYS_MAX = 64;
const kept = z.array(z.string().regex(KEY_PATTERN)).max(KEYS_MAX);

type HeldKeys = Pick<NodeConfig, 'key' | 'keyFile'>;

export class KnownKeys {
  /** Its own, beside what it remembers of its pools. */
  readonly file: string;
  readonly #byId = new Map<string, Secret>();
  /** Fingerprints of those in the file. */
  #kept = '';
  /** Of the key file, when it was read last. */
  #seen = { changed: -1, inForce: '', held: [] as string[] };

  constructor(file: string) {
    this.file = file;
  }

  of(id: string): Secret | undefined {
    return this.#byId.get(id);
  }

  /** Those of a config that is to be in force. */
  add({ key, otherKeys }: Pick<NodeConfig, 'key' | 'otherKeys'>): void {
    for (const secret of [key, ...otherKeys]) this.#add(secret);
  }

  /**
   * Fingerprints of the secret in force, and of all that the key file has by now. It is read again when it has changed, for this is asked
   * twice a second.
   */
  held({ key, keyFile }: HeldKeys): { readonly inForce: string; readonly held: string[] } {
    const inForce = keyFingerprint(key.reveal());
    if (keyFile === undefined) return { inForce, held: [inForce] };
    const changed = statSync(keyFile, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (changed !== this.#seen.changed || inForce !== this.#seen.inForce) {
      const held = new Set([inForce, ...fingerprintsIn(keyFile)]);
      this.#seen = { changed, inForce, held: [...held].sort().slice(0, FLEET_KEYS_MAX) };
    }
    return { inForce, held: this.#seen.held };
  }

  /**
   * What a process before this one kept. Flows of a key that is not known lose their second chance.
   * @returns why it cannot be used; undefined when it can, or there is none
   */
  read(): string | undefined {
    let text: string;
    try {
      text = readOwnFile(this.file).text;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : reasonOf(error);
    }
    const secrets = secretsIn(text);
    if (secrets === undefined) return 'it holds something else than secrets in hexadecimal digits';
    for (const secret of secrets) this.#add(secret);
    return undefined;
  }

  /** Keeps those that pools refer to, and no others. */
  async keep(pools: ReadonlyMap<string, Pick<PoolMemory, 'changes'>>): Promise<void> {
    const ids = [...pools.values()].flatMap(({ changes: { keyId, formerKey } }) => [keyId, formerKey?.id]);
    const known = [...new Set(ids)].flatMap((id) => (id !== undefined && this.#byId.has(id) ? [id] : []));
    const names = known.sort().join();
    if (names === this.#kept) return;
    const digits = known.map((id) => Buffer.from(this.#byId.get(id)!.reveal()).toString('hex'));
    await replaceOwnFile(this.file, `${JSON.stringify(digits)}\n`);
    this.#kept = names;
  }

  #add(secret: Secret): void {
    const id = keyFingerprint(secret.reveal());
    if (!this.#byId.has(id)) this.#byId.set(id, secret);
  }
}

/** An error of the parser may quote the text: nobody is told of it. */
function secretsIn(text: string): Secret[] | undefined {
  try {
    return kept.parse(JSON.parse(text)).map((digits) => new Secret(Buffer.from(digits, 'hex')));
  } catch {
    return undefined;
  }
}
