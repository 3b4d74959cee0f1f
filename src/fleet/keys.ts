/**
 * Keys that sign (ed25519, RFC 8032): the operator's, whose holder changes the fleet, and nobody else, the store included; and those of nodes
 * that find backends.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { isOpenToOthers, readSmallFile } from '../config/file.js';
import { PUBLIC_KEY_BYTES } from '../config/public-key.js';
import { AnyhopError } from '../core/errors.js';
import { reasonOf } from '../core/reason.js';

const KEY_FILE_BYTES_MAX = 4096;
const KEY_FILE_MODE = 0o600;
/** What stands before the 32 bytes of an ed25519 public key in DER (RFC 8410, section 4). */
const DER_HEAD = Buffer.from('302a300506032b6570032100', 'hex');

export interface SigningKey {
  readonly private: KeyObject;
  readonly publicBytes: Buffer;
}

/**
 * Makes a key, and the file that holds it, which must not be there.
 * @throws AnyhopError ERR_USAGE when the file is there or cannot be written
 */
export function createKey(path: string): SigningKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  try {
    const descriptor = openSync(path, 'wx', KEY_FILE_MODE);
    try {
      writeSync(descriptor, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new AnyhopError(
      'ERR_USAGE',
      isThere ? `${path} is there already, and is not overwritten` : `${path}: ${reasonOf(error)}`,
      { hint: 'Name the file of the new key with --key FILE.' },
    );
  }
  return signingKeyOf(privateKey);
}

/** @throws AnyhopError ERR_USAGE when it cannot be read, is no ed25519 key, or others may read it */
export function readOperatorKey(path: string): SigningKey {
  return readKey(
    path,
    "the operator's key",
    'Name its file with --key FILE or ANYHOP_OPERATOR_KEY. `anyhop fleet init` makes one.',
  );
}

/** The key of a node, made when there is none. @throws AnyhopError ERR_USAGE as `readOperatorKey` */
export function nodeKey(path: string): SigningKey {
  if (!existsSync(path)) return createKey(path);
  return readKey(
    path,
    "the node's key",
    'Remove it, and the node makes another one: the operator has to list that one then.',
  );
}

function readKey(path: string, what: string, hint: string): SigningKey {
  const wrong = (why: string): AnyhopError =>
    new AnyhopError('ERR_USAGE', `${what} ${path}: ${why}`, { hint });
  let key: KeyObject;
  try {
    const { bytes, mode } = readSmallFile(path, KEY_FILE_BYTES_MAX);
    if (isOpenToOthers(mode)) throw wrong('every user can access it; run chmod 600 on it');
    key = createPrivateKey(Buffer.from(bytes));
  } catch (error) {
    if (error instanceof AnyhopError) throw error;
    const isFile = !(error as NodeJS.ErrnoException).code?.startsWith('ERR_OSSL');
    throw wrong(isFile ? reasonOf(error) : 'it holds no private key in PEM');
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw wrong(`it holds a key of the kind ${key.asymmetricKeyType}; expected ed25519`);
  return signingKeyOf(key);
}

function signingKeyOf(key: KeyObject): SigningKey {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return { private: key, publicBytes: der.subarray(der.length - PUBLIC_KEY_BYTES) };
}

export function signature(text: string, key: SigningKey): string {
  return sign(null, Buffer.from(text), key.private).toString('base64');
}

/** By their bytes: to make one takes as long as to verify with it. */
const publicKeys = new WeakMap<Uint8Array, KeyObject>();

/** @param publicBytes 32 */
export function isSignedBy(text: string, signed: string, publicBytes: Uint8Array): boolean {
  let key = publicKeys.get(publicBytes);
  if (key === undefined) {
    key = createPublicKey({ key: Buffer.concat([DER_HEAD, publicBytes]), format: 'der', type: 'spki' });
    publicKeys.set(publicBytes, key);
  }
  return verify(null, Buffer.from(text), key, Buffer.from(signed, 'base64'));
}
