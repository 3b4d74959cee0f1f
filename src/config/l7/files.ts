/** Files that the section `l7` names: read once with the config, by the role that needs them, with located errors. */
import { X509Certificate } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { HEALTH_CA_BYTES_MAX, L7_KEY_HEX_DIGITS } from '../../core/limits.js';
import type { DraftL7 } from '../draft.js';
import { isOpenToOthers, readSmallFile, UnreadableFile } from '../file.js';
import { type FieldPath, quote } from '../path.js';
import type { Report } from '../problems.js';
import { Secret } from '../secret.js';
import { describeSecret } from '../shape.js';
import { warnAboutCertificate, warnAboutHosts } from './certificate-warnings.js';
import { CertificateFault, loadCertificate, loadCertificates } from './certificates.js';
import type { DraftFrontend } from './judge.js';
import { L7_KEY_EXPECTED, L7_KEY_PATTERN } from './patterns.js';
import type { PemFile } from './types.js';

const KEY_FILE_BYTES_MAX = L7_KEY_HEX_DIGITS + 1024;

export interface L7Files {
  readonly key: Secret | undefined;
  /** By absolute path. */
  readonly pems: ReadonlyMap<string, PemFile>;
}

export const NO_L7_FILES: L7Files = { key: undefined, pems: new Map() };

/** Reads them all, and reports those that HAProxy could not use. */
export function readL7Files(draft: DraftL7, configFile: string, report: Report, warn: Report): L7Files {
  const pems = new Map<string, PemFile>();
  const read = (
    path: string | undefined,
    at: FieldPath,
    load: (path: string, at: FieldPath) => string,
  ): void => {
    if (path === undefined) return;
    const absolute = resolve(dirname(configFile), path);
    try {
      pems.set(absolute, { path: absolute, pem: textSecret(load(absolute, at)) });
    } catch (error) {
      if (!(error instanceof UnreadableFile) && !(error instanceof CertificateFault)) throw error;
      report(at, `${quote(absolute)}: ${error.message}`);
    }
  };
  const readCertificate = (path: string, at: FieldPath): string => {
    const certificate = loadCertificate(path);
    warnAboutCertificate(certificate, at, warn);
    return certificate.pem.reveal().toString();
  };
  for (const frontend of draft.frontends ?? []) {
    const { at, certificates, clients } = frontend;
    if (certificates !== undefined)
      checkCertificates(frontend, resolve(dirname(configFile), certificates), report, warn);
    read(clients?.caFile, [...at, 'clients', 'ca_file'], readAuthorities);
  }
  for (const { at, tls } of draft.upstreams ?? []) {
    read(tls?.caFile, [...at, 'tls', 'ca_file'], readAuthorities);
    read(tls?.certificate, [...at, 'tls', 'certificate'], readCertificate);
  }
  return { key: readL7Key(draft, configFile, report, warn), pems };
}

/** The directory as a whole: at least one certificate, and each that is there must be usable. */
function checkCertificates(frontend: DraftFrontend, directory: string, report: Report, warn: Report): void {
  const at = [...frontend.at, 'certificates'];
  const { certificates, faults } = loadCertificates(directory);
  for (const fault of faults) report(at, fault);
  if (certificates.length === 0 && faults.length === 0)
    report(
      at,
      `${quote(directory)} has no *.pem file; expected one for each certificate: certificate, chain and key`,
    );
  for (const certificate of certificates) warnAboutCertificate(certificate, at, warn);
  if (certificates.length > 0 && faults.length === 0) warnAboutHosts(frontend, directory, certificates, warn);
}

function readAuthorities(path: string): string {
  const text = new TextDecoder().decode(readSmallFile(path, HEALTH_CA_BYTES_MAX).bytes);
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const block of blocks) new X509Certificate(block);
  } catch {
    throw new CertificateFault('a certificate in it cannot be read; expected certificates in PEM');
  }
  if (blocks.length === 0) throw new CertificateFault('it has no certificate; expected certificates in PEM');
  return `${blocks.join('\n')}\n`;
}

function readL7Key(draft: DraftL7, configFile: string, report: Report, warn: Report): Secret | undefined {
  if (draft.key !== undefined) return hexSecret(draft.key);
  if (draft.keyFile === undefined) return undefined;
  const at = [...draft.at, 'key_file'];
  const path = resolve(dirname(configFile), draft.keyFile);
  try {
    const { bytes, mode } = readSmallFile(path, KEY_FILE_BYTES_MAX);
    const text = new TextDecoder().decode(bytes).trim();
    if (!L7_KEY_PATTERN.test(text)) {
      report(at, `${quote(path)} holds ${describeSecret(text)}; expected ${L7_KEY_EXPECTED}`);
      return undefined;
    }
    if (isOpenToOthers(mode))
      warn(
        at,
        `${quote(path)} holds the subkey of the tier, and every user can access it; run chmod 600 on it`,
      );
    return hexSecret(text);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    report(at, `${quote(path)}: ${error.message}`);
    return undefined;
  }
}

function hexSecret(digits: string): Secret {
  return new Secret(Buffer.from(digits, 'hex'));
}

function textSecret(text: string): Secret {
  return new Secret(Buffer.from(text));
}
