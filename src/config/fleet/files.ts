/** Rules of the section `fleet`, and the files that it names: read with the config by those who speak with the store. */
import type { DraftFleet } from '../draft.js';
import { warnAboutCertificate } from '../l7/certificate-warnings.js';
import { loadCertificate } from '../l7/certificates.js';
import { readAuthorities } from '../l7/files.js';
import { namedFiles } from '../named-files.js';
import type { Report } from '../problems.js';
import type { FleetConfig } from './types.js';

const SECURE = 'https:';

/** Reports what contradicts itself. */
export function checkFleet(fleet: DraftFleet | undefined, report: Report): void {
  if (fleet === undefined) return;
  const secure = fleet.endpoints.filter(({ value }) => value.startsWith(SECURE));
  const [plain] = fleet.endpoints.filter(({ value }) => !value.startsWith(SECURE));
  if (plain === undefined) return;
  if (secure.length > 0)
    report(plain.at, 'found http beside https; expected one of the two for all endpoints');
  for (const key of ['ca_file', 'certificate'])
    if (fleet.written.has(key))
      report(
        [...fleet.at, key],
        'found it beside endpoints with http, which use no certificate; expected https',
      );
}

/** @returns undefined when something is missing or wrong, which is reported */
export function readFleet(
  fleet: DraftFleet | undefined,
  configFile: string,
  report: Report,
  warn: Report,
): FleetConfig | undefined {
  if (fleet === undefined) return undefined;
  const { at, name, endpoints, operatorKey, views, caFile, certificate } = fleet;
  const read = namedFiles(at, configFile, report);
  const own = read('certificate', certificate, (path) => {
    const loaded = loadCertificate(path);
    warnAboutCertificate(loaded, [...at, 'certificate'], warn);
    return loaded.pem;
  });
  const authorities = read('ca_file', caFile, readAuthorities);
  if (name === undefined || operatorKey === undefined || endpoints.length === 0) return undefined;
  return {
    name,
    endpoints: endpoints.map(({ value }) => value),
    operatorKey,
    views,
    authorities,
    certificate: own,
  };
}
