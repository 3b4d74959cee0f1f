/**
 * Certificates of a frontend: the *.pem files of a directory in the order of their names, each with certificate, chain and
 * private key. Read with the config, and again by the process that watches the directory.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { L7_CERTIFICATE_BYTES_MAX, L7_CERTIFICATES_MAX } from '../../core/limits.js';
import { reasonOf } from '../../core/reason.js';
import { readSmallFile, UnreadableFile } from '../file.js';
import { quote } from '../path.js';
import { Secret } from '../secret.js';

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[A-Za-z0-9+/=\s]+-----END \1-----/g;

/** Why a file holds no usable certificate: the second half of a sentence that begins with its path. */
export class CertificateFault extends Error {}

export interface LoadedCertificate {
  /** Absolute. */
  readonly path: string;
  /** Certificate, chain, then key: only the PEM blocks, without what stands between them. */
  readonly pem: Secret;
  readonly notAfter: Date;
}

/** @throws CertificateFault, UnreadableFile */
export function loadCertificate(path: string): LoadedCertificate {
  const text = new TextDecoder().decode(readSmallFile(path, L7_CERTIFICATE_BYTES_MAX).bytes);
  const blocks = [...text.matchAll(BLOCK)];
  const certificates = blocks.filter(([, kind]) => kind === 'CERTIFICATE').map(([block]) => block);
  const keys = blocks.filter(([, kind]) => kind?.endsWith('PRIVATE KEY')).map(([block]) => block);
  if (certificates.length === 0) throw new CertificateFault('it has no certificate in PEM');
  if (keys.length !== 1)
    throw new CertificateFault(
      `it has ${keys.length === 0 ? 'no' : keys.length} private key; expected certificate, chain and one key in PEM`,
    );
  const [first] = certificates.map(parse); // all of them: HAProxy would refuse one that it cannot read
  const key = parseKey(keys[0]!);
  if (!first!.checkPrivateKey(key))
    throw new CertificateFault('its private key does not belong to its first certificate');
  return {
    path,
    pem: new Secret(Buffer.from(`${[...certificates, ...keys].join('\n')}\n`)),
    notAfter: new Date(first!.validTo),
  };
}

function parse(block: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch {
    throw new CertificateFault('a certificate in it cannot be read');
  }
}

function parseKey(block: string) {
  try {
    return createPrivateKey(block);
  } catch {
    throw new CertificateFault('its private key cannot be read, or has a passphrase');
  }
}

/** @returns what can be used, by name, and a sentence for each fault */
export function loadCertificates(directory: string): {
  readonly certificates: readonly LoadedCertificate[];
  readonly faults: readonly string[];
} {
  let names: string[];
  try {
    names = readdirSync(directory)
      .filter((name) => name.endsWith('.pem'))
      .sort();
  } catch (error) {
    return { certificates: [], faults: [`${quote(directory)} cannot be read: ${reasonOf(error)}`] };
  }
  if (names.length > L7_CERTIFICATES_MAX)
    return {
      certificates: [],
      faults: [
        `${quote(directory)} has ${names.length} certificates; expected ${L7_CERTIFICATES_MAX} at most`,
      ],
    };
  const certificates: LoadedCertificate[] = [];
  const faults: string[] = [];
  for (const name of names) {
    const path = join(directory, name);
    try {
      certificates.push(loadCertificate(path));
    } catch (error) {
      if (!(error instanceof UnreadableFile) && !(error instanceof CertificateFault)) throw error;
      faults.push(`${quote(path)}: ${error.message}`);
    }
  }
  return { certificates, faults };
}
