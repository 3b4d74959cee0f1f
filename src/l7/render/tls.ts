/** What HAProxy reads of TLS: certificates with the list that names them, authorities, and ticket keys. All are files of the generation. */
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import type { LoadedCertificate } from '../../config/l7/certificates.js';
import type { L7Frontend, PemFile } from '../../config/l7/types.js';
import type { Secret } from '../../config/secret.js';
import { ticketKeys, ticketsOf } from './keys.js';
import { fileIn } from './names.js';

/** Names that may stand in a list of certificates as they are. */
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\.pem$/;
const PEM = /^(?:-----BEGIN ([A-Z0-9 ]+)-----\n[A-Za-z0-9+/=\s]+-----END \1-----\n)+$/;
const DIGEST_CHARS = 32;

/** The file of the generation that holds a frontend's certificate. @param path where the config has it */
export function certificateFile(frontend: string, path: string): string {
  const name = basename(path);
  const digest = createHash('sha256').update(name).digest('hex').slice(0, DIGEST_CHARS);
  return `certs/${frontend}/${PLAIN_NAME.test(name) ? name : `${digest}.pem`}`;
}

// One folder a kind: a name may end in anything.
export const certificateListFile = (frontend: string): string => `lists/${frontend}`;
export const ticketKeysFile = (frontend: string): string => `tickets/${frontend}`;
export const clientAuthoritiesFile = (frontend: string): string => `client-authorities/${frontend}`;
export const serverAuthoritiesFile = (upstream: string): string => `server-authorities/${upstream}`;
export const ownCertificateFile = (upstream: string): string => `own-certificates/${upstream}`;

/** Certificates of one frontend and their list, in which the first is the default. */
export function certificateFiles(
  frontend: string,
  certificates: readonly LoadedCertificate[],
  directory: string,
): [string, string][] {
  const files = certificates.map(({ path, pem }): [string, string] => [
    certificateFile(frontend, path),
    pemText(pem),
  ]);
  const entries = files.map(([file]) => `${fileIn(directory, file).text}\n`);
  return [...files, [certificateListFile(frontend), entries.join('')]];
}

/** The ticket keys in force at a time, one a line. */
export function ticketKeysText(key: Secret, frontend: L7Frontend, now: Date): string {
  return ticketKeys(key.reveal(), ticketsOf(frontend), now)
    .map((line) => `${line}\n`)
    .join('');
}

/** @param file undefined: none is written */
export function pemFile(file: string, source: PemFile | undefined): [string, string][] {
  return source === undefined ? [] : [[file, pemText(source.pem)]];
}

/** PEM blocks, and nothing beside them. */
function pemText(pem: Secret): string {
  const text = Buffer.from(pem.reveal()).toString('latin1');
  if (!PEM.test(text)) throw new RangeError('a certificate is not in PEM'); // the text may hold a private key
  return text;
}
