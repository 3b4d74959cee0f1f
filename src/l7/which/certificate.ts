/** Which certificate a client gets that asks for a name, as HAProxy chooses: the name itself, then its wildcard. */
import { type LoadedCertificate, loadCertificates } from '../../config/l7/certificates.js';
import { listed } from '../../core/listed.js';
import type { AskedRequest } from './request.js';

export type CertificateChoice =
  /** The file of a certificate that is for this name. */
  | { readonly file: string }
  /** None is: clients refuse what they get instead. */
  | { readonly file: null }
  /** Not known, for example because this user cannot read private keys. */
  | { readonly unknown: string };

/** @param directory of the frontend */
export function certificateFor(directory: string, { host, isAddress }: AskedRequest): CertificateChoice {
  if (isAddress) return { unknown: 'the host of the URL is an address' };
  const { certificates, faults } = loadCertificates(directory);
  const found = chosen(certificates, host.toLowerCase().replace(/\.+$/, ''));
  if (found !== undefined) return { file: found.path };
  return faults.length > 0 ? { unknown: listed(faults, { most: 1 }) } : { file: null };
}

function chosen(certificates: readonly LoadedCertificate[], name: string): LoadedCertificate | undefined {
  const wildcard = name.replace(/^[^.]+/, '*');
  return (
    certificates.find(({ hosts }) => hosts.includes(name)) ??
    certificates.find(({ hosts }) => hosts.includes(wildcard))
  );
}
