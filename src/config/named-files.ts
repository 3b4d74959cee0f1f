/** Files that a section of the config names, relative to the config file: what cannot be used is reported at the field that names it. */
import { dirname, resolve } from 'node:path';
import { UnreadableFile } from './file.js';
import { CertificateFault } from './l7/certificates.js';
import { type FieldPath, quote } from './path.js';
import type { Report } from './problems.js';

/** @returns undefined without a path, and after a report */
export type ReadNamed = <T>(
  field: string,
  path: string | undefined,
  load: (path: string) => T,
) => T | undefined;

/** @param at of the section; `load` has an absolute path, and throws UnreadableFile or CertificateFault */
export function namedFiles(at: FieldPath, configFile: string, report: Report): ReadNamed {
  return (field, path, load) => {
    if (path === undefined) return undefined;
    const file = resolve(dirname(configFile), path);
    try {
      return load(file);
    } catch (error) {
      if (!(error instanceof UnreadableFile) && !(error instanceof CertificateFault)) throw error;
      report([...at, field], `${quote(file)}: ${error.message}`);
      return undefined;
    }
  };
}
