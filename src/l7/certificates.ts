/** The certificates of all frontends: what their directories hold, and what of it comes into force. */
import { statSync } from 'node:fs';
import { type LoadedCertificate, loadCertificates } from '../config/l7/certificates.js';
import type { L7Config } from '../config/l7/types.js';

/** By frontend, the default first. Frontends without TLS are not in it. */
export type Certificates = ReadonlyMap<string, readonly LoadedCertificate[]>;

export interface ReadCertificates {
  readonly certificates: Certificates;
  /** A sentence for each file that cannot be used. */
  readonly faults: readonly string[];
}

/**
 * What the directories hold now, and of files that cannot be used now, the former certificates: a file may be half written. A frontend
 * whose directory is empty keeps all it had, since HAProxy does not start without a certificate.
 * @param former what is in force
 */
export function readCertificates(config: L7Config, former: Certificates = new Map()): ReadCertificates {
  const certificates = new Map<string, readonly LoadedCertificate[]>();
  const faults: string[] = [];
  for (const { name, certificates: directory } of config.frontends) {
    if (directory === undefined) continue;
    const read = loadCertificates(directory);
    certificates.set(name, kept(former.get(name) ?? [], read.certificates));
    faults.push(...read.faults, ...read.forbidden);
  }
  return { certificates, faults };
}

function kept(
  former: readonly LoadedCertificate[],
  read: readonly LoadedCertificate[],
): readonly LoadedCertificate[] {
  const paths = new Set(read.map(({ path }) => path));
  const unread = former.filter(({ path }) => !paths.has(path) && isFile(path));
  if (read.length + unread.length === 0) return former;
  return [...read, ...unread].sort((a, b) => (a.path < b.path ? -1 : 1));
}

export function sameCertificates(a: Certificates, b: Certificates): boolean {
  return a.size === b.size && [...a].every(([name, list]) => sameList(list, b.get(name)));
}

function sameList(a: readonly LoadedCertificate[], b: readonly LoadedCertificate[] | undefined): boolean {
  return a.length === b?.length && a.every((one, i) => sameCertificate(one, b[i]!));
}

export function sameCertificate(a: LoadedCertificate, b: LoadedCertificate): boolean {
  return a.path === b.path && Buffer.compare(a.pem.reveal(), b.pem.reveal()) === 0;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
