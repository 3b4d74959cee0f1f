/** Files that the section `announce` names: read once with the config, by the roles that speak TLS, with located errors. */
import type { DraftAnnounce } from '../draft.js';
import { warnAboutCertificate } from '../l7/certificate-warnings.js';
import { loadCertificate } from '../l7/certificates.js';
import { readAuthorities } from '../l7/files.js';
import { namedFiles } from '../named-files.js';
import { quote } from '../path.js';
import type { Report } from '../problems.js';
import type { RegionTls } from './types.js';

/**
 * @param node name that the certificate must have; undefined for a DNS host, which may have any
 * @returns undefined when a file is missing in the config, or wrong, which is reported
 */
export function readRegionFiles(
  { at, certificate, caFile }: DraftAnnounce,
  configFile: string,
  node: string | undefined,
  report: Report,
  warn: Report,
): RegionTls | undefined {
  const read = namedFiles(at, configFile, report);
  const own = read('certificate', certificate, (path) => {
    const place = [...at, 'certificate'];
    const loaded = loadCertificate(path);
    warnAboutCertificate(loaded, place, warn);
    if (node !== undefined && !loaded.hosts.includes(node.toLowerCase()))
      warn(place, `${quote(path)} is not for the DNS name ${quote(node)} of this node: DNS hosts refuse it`);
    return loaded.pem;
  });
  const authorities = read('ca_file', caFile, readAuthorities);
  return own && authorities && { certificate: own, authorities };
}
