/** Files that the section `l7` names: read once with the config, by the role that needs them, with located errors. */
import { dirname, resolve } from 'node:path';
import { HEALTH_CA_BYTES_MAX, L7_KEY_HEX_DIGITS } from '../../core/limits.js';
import type { DraftL7 } from '../draft.js';
import { isOpenToOthers, readSmallFile, UnreadableFile } from '../file.js';
import { type FieldPath, quote } from '../path.js';
import { certificatesIn } from '../pem.js';
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
  /** By absolute path: certificates to trust. */
  readonly authorities: ReadonlyMap<string, PemFile>;
  /** By absolute path: a certificate with chain and key. */
  readonly certificates: ReadonlyMap<string, PemFile>;
}

/** Where what is found in files is reported. */
export interface FileReports {
  readonly report: Report;
  readonly warn: Report;
  /** Of files that this user may not read. */
  readonly forbid: Report;
}

/** For a key that may not be read. */
const UNREAD_KEY = new Secret(new Uint8Array(L7_KEY_HEX_DIGITS / 2));

/** For a file that was not read: HAProxy refuses it, and does not go without it. @param path absolute */
export function unreadPem(path: string): PemFile {
  return { path, pem: new Secret(Buffer.from('-----BEGIN UNREAD-----\nAAAA\n-----END UNREAD-----\n')) };
}

export const NO_L7_FILES: L7Files = { key: undefined, authorities: new Map(), certificates: new Map() };

/** Reads them all, and reports those that HAProxy could not use. What may not be read has a stand-in. */
export function readL7Files(draft: DraftL7, configFile: string, reports: FileReports): L7Files {
  const { report, warn, forbid } = reports;
  const authorities = new Map<string, PemFile>();
  const certificates = new Map<string, PemFile>();
  const absolute = (path: string): string => resolve(dirname(configFile), path);
  const read = (
    path: string | undefined,
    at: FieldPath,
    files: Map<string, PemFile>,
    load: (path: string) => Secret,
  ): void => {
    if (path === undefined) return;
    const file = absolute(path);
    try {
      files.set(file, { path: file, pem: load(file) });
    } catch (error) {
      if (!(error instanceof UnreadableFile) && !(error instanceof CertificateFault)) throw error;
      const isForbidden = error instanceof UnreadableFile && error.isForbidden;
      (isForbidden ? forbid : report)(at, `${quote(file)}: ${error.message}`);
      files.set(file, unreadPem(file));
    }
  };
  for (const frontend of draft.frontends ?? []) {
    const { at, certificates: directory, clients } = frontend;
    if (directory !== undefined) checkCertificates(frontend, absolute(directory), reports);
    read(clients?.caFile, [...at, 'clients', 'ca_file'], authorities, readAuthorities);
  }
  for (const { at, tls } of draft.upstreams ?? []) {
    read(tls?.caFile, [...at, 'tls', 'ca_file'], authorities, readAuthorities);
    const place = [...at, 'tls', 'certificate'];
    read(tls?.certificate, place, certificates, (path) => {
      const certificate = loadCertificate(path);
      warnAboutCertificate(certificate, place, warn);
      return certificate.pem;
    });
  }
  return { key: readL7Key(draft, configFile, reports), authorities, certificates };
}

/** The directory as a whole: at least one certificate, and each that is there must be usable. */
function checkCertificates(
  frontend: DraftFrontend,
  directory: string,
  { report, warn, forbid }: FileReports,
): void {
  const at = [...frontend.at, 'certificates'];
  const { certificates, faults, forbidden } = loadCertificates(directory);
  for (const fault of faults) report(at, fault);
  for (const one of forbidden) forbid(at, one);
  for (const certificate of certificates) warnAboutCertificate(certificate, at, warn);
  if (faults.length > 0 || forbidden.length > 0) return;
  if (certificates.length > 0) warnAboutHosts(frontend, directory, certificates, warn);
  else
    report(
      at,
      `${quote(directory)} has no *.pem file; expected one for each certificate: certificate, chain and key`,
    );
}

/** Certificates to trust, in PEM. @throws UnreadableFile, CertificateFault */
export function readAuthorities(path: string): Secret {
  const certificates = certificatesIn(
    new TextDecoder().decode(readSmallFile(path, HEALTH_CA_BYTES_MAX).bytes),
  );
  if (certificates === undefined)
    throw new CertificateFault('a certificate in it cannot be read; expected certificates in PEM');
  if (certificates.length === 0)
    throw new CertificateFault('it has no certificate; expected certificates in PEM');
  return new Secret(Buffer.from(certificates.join('')));
}

function readL7Key(
  draft: DraftL7,
  configFile: string,
  { report, warn, forbid }: FileReports,
): Secret | undefined {
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
    const why = error.isMissing
      ? 'no such file; "anyhop l7 key" makes it, on a host that has the secret of the fleet'
      : error.message;
    (error.isForbidden ? forbid : report)(at, `${quote(path)}: ${why}`);
    return error.isForbidden ? UNREAD_KEY : undefined;
  }
}

function hexSecret(digits: string): Secret {
  return new Secret(Buffer.from(digits, 'hex'));
}
