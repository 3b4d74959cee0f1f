/** Files that a section `metrics` names: read once with the config, by the process that answers there, with located errors. */
import { METRICS_PASSWORD_BYTES_MAX } from '../../core/limits.js';
import type { Draft, DraftMetrics } from '../draft.js';
import { isOpenToOthers, readSmallFile, UnreadableFile } from '../file.js';
import { warnAboutCertificate } from '../l7/certificate-warnings.js';
import { loadCertificate } from '../l7/certificates.js';
import { readAuthorities } from '../l7/files.js';
import { namedFiles } from '../named-files.js';
import { quote } from '../path.js';
import type { Report } from '../problems.js';
import { Secret } from '../secret.js';
import type { Role } from '../types.js';
import type { MetricsConfig } from './types.js';

type Section = 'node' | 'agent' | 'l7' | 'announce';
/** By the section that it is in. */
export type OwnMetrics = { readonly [S in Section]?: MetricsConfig | undefined };

const SECTIONS: Partial<Record<Role, Section>> = {
  run: 'node',
  node: 'node',
  siblings: 'node',
  agent: 'agent',
  l7: 'l7',
  announce: 'announce',
};

/** Of the process that a role is; nothing when it answers nowhere, or after a report. */
export function readMetricsOf(
  role: Role,
  draft: Draft,
  configFile: string,
  report: Report,
  warn: Report,
): OwnMetrics {
  const section = SECTIONS[role];
  const metrics = section && draft[section]?.metrics;
  return metrics === undefined ? {} : { [section!]: readMetrics(metrics, configFile, report, warn) };
}

/**
 * Needs a section without mistakes of shape; what a file lacks is reported.
 * @returns undefined when a file cannot be used, which is reported
 */
function readMetrics(
  { at, listen, certificate, caFile, user, passwordFile }: DraftMetrics,
  configFile: string,
  report: Report,
  warn: Report,
): MetricsConfig | undefined {
  const read = namedFiles(at, configFile, report);
  const own = read('certificate', certificate, (path) => {
    const loaded = loadCertificate(path);
    warnAboutCertificate(loaded, [...at, 'certificate'], warn);
    return loaded.pem;
  });
  const authorities = read('ca_file', caFile, readAuthorities);
  const password = read('password_file', passwordFile, (path) => {
    const { bytes, mode } = readSmallFile(path, METRICS_PASSWORD_BYTES_MAX);
    const [line = ''] = new TextDecoder().decode(bytes).split(/\r?\n/);
    if (line === '') throw new UnreadableFile('its first line is empty; expected the password');
    if (isOpenToOthers(mode))
      warn([...at, 'password_file'], `every user can access ${quote(path)}; run chmod 600 on it`);
    return new Secret(Buffer.from(line));
  });
  const isLacking = (certificate && !own) || (caFile && !authorities) || (passwordFile && !password);
  if (isLacking) return undefined;
  return {
    listen,
    tls: own && { certificate: own, authorities },
    login: user === undefined || password === undefined ? undefined : { user, password },
  };
}
