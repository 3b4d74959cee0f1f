/**
 * Certificates of a frontend: the *.pem files of a directory in the order of their names, each with certificate, chain and
 * private key. Read with the config, and again by the process that watches the directory.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { L7_CERTIFICATE_BYTES_MAX, L7_CERTIFICATES_MAX, L7_RSA_BITS_MIN } from '../../core/limits.js';
import { reasonOf } from '../../core/reason.js';
import { isOpenToOthers, readSmallFile, UnreadableFile } from '../file.js';
import { quote } from '../path.js';
import { Secret } from '../secret.js';

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----/g;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;
const EXPECTED = 'expected certificate, chain and one private key in PEM';

/** Why a file holds no usable certificate: the second half of a sentence that begins with its path. */
export class CertificateFault extends Error {}

export interface LoadedCertificate {
  /** Absolute. */
  readonly path: string;
  /** Certificate, chain, then key, written anew: whatever else the file holds, and however its lines end. */
  readonly pem: Secret;
  /** In lower case, `*.example.com` among them; addresses are left out. */
  readonly hosts: readonly string[];
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Whether other users than owner and group can access the file. */
  readonly isOpen: boolean;
}

/** @throws CertificateFault, UnreadableFile */
export function loadCertificate(path: string): LoadedCertificate {
  const { bytes, mode } = readSmallFile(path, L7_CERTIFICATE_BYTES_MAX);
  const text = new TextDecoder().decode(bytes);
  if (ENCRYPTED.test(text))
    throw new CertificateFault('its private key has a passphrase; expected a key without one');
  const blocks = [...text.matchAll(BLOCK)];
  const certificates = blocks.filter(([, kind]) => kind === 'CERTIFICATE').map(([block]) => block);
  const keys = blocks.filter(([, kind]) => kind?.endsWith('PRIVATE KEY')).map(([block]) => block);
  if (certificates.length === 0) throw new CertificateFault(`it has no certificate; ${EXPECTED}`);
  if (keys.length === 0) throw new CertificateFault(`it has no private key; ${EXPECTED}`);
  if (keys.length > 1) throw new CertificateFault(`it has ${keys.length} private keys; ${EXPECTED}`);
  const chain = certificates.map(parse); // all of them: HAProxy would refuse one that it cannot read
  const [leaf] = chain;
  const key = parseKey(keys[0]!);
  checkKey(key, leaf!);
  return {
    path,
    pem: new Secret(Buffer.from(`${chain.join('')}${key.export({ type: 'pkcs8', format: 'pem' })}`)),
    hosts: hostsOf(leaf!),
    notBefore: new Date(leaf!.validFrom),
    notAfter: new Date(leaf!.validTo),
    isOpen: isOpenToOthers(mode),
  };
}

function parse(block: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch {
    throw new CertificateFault('a certificate in it cannot be read');
  }
}

function parseKey(block: string): KeyObject {
  try {
    return createPrivateKey(block);
  } catch {
    throw new CertificateFault('its private key cannot be read');
  }
}

function checkKey(key: KeyObject, leaf: X509Certificate): void {
  if (!leaf.checkPrivateKey(key))
    throw new CertificateFault('its private key does not belong to its first certificate');
  const bits = key.asymmetricKeyType === 'rsa' ? key.asymmetricKeyDetails?.modulusLength : undefined;
  if (bits !== undefined && bits < L7_RSA_BITS_MIN)
    throw new CertificateFault(
      `its private key is RSA of ${bits} bits; expected ${L7_RSA_BITS_MIN} bits at least`,
    );
}

/** Clients read these names only (RFC 9525, section 2.3). */
function hostsOf({ subjectAltName }: X509Certificate): string[] {
  return (subjectAltName ?? '')
    .split(', ')
    .flatMap((name) => /^DNS:([^"]+)$/.exec(name)?.[1]?.toLowerCase() ?? []);
}

export interface LoadedCertificates {
  /** What can be used, by name. */
  readonly certificates: readonly LoadedCertificate[];
  /** A sentence for each fault. */
  readonly faults: readonly string[];
  /** A sentence for each file, or for the directory, that this user may not read. */
  readonly forbidden: readonly string[];
}

export function loadCertificates(directory: string): LoadedCertificates {
  const certificates: LoadedCertificate[] = [];
  const faults: string[] = [];
  const forbidden: string[] = [];
  for (const path of pathsIn(directory, faults, forbidden)) {
    try {
      certificates.push(loadCertificate(path));
    } catch (error) {
      if (!(error instanceof UnreadableFile) && !(error instanceof CertificateFault)) throw error;
      const isForbidden = error instanceof UnreadableFile && error.isForbidden;
      (isForbidden ? forbidden : faults).push(`${quote(path)}: ${error.message}`);
    }
  }
  return { certificates, faults, forbidden };
}

/** Without those that begin with a dot, which programs use for files that they are writing. */
function pathsIn(directory: string, faults: string[], forbidden: string[]): string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith('.pem') && !name.startsWith('.'));
    if (names.length <= L7_CERTIFICATES_MAX) return names.sort().map((name) => join(directory, name));
    faults.push(
      `${quote(directory)} has ${names.length} certificates; expected ${L7_CERTIFICATES_MAX} at most`,
    );
  } catch (error) {
    const isForbidden = (error as NodeJS.ErrnoException).code === 'EACCES';
    (isForbidden ? forbidden : faults).push(`${quote(directory)} cannot be read: ${reasonOf(error)}`);
  }
  return [];
}
