/** From a file of a generation, which HAProxy names in an error, to the field of the config that it comes from. */
import type { FieldPath } from '../../config/path.js';
import {
  certificateFile,
  certificateListFile,
  clientAuthoritiesFile,
  ownCertificateFile,
  serverAuthoritiesFile,
  ticketKeysFile,
} from './tls.js';

type Named = (name: string) => string;

const frontend =
  (...fields: string[]) =>
  (name: string): FieldPath => ['l7', 'frontends', name, ...fields];
const upstream =
  (...fields: string[]) =>
  (name: string): FieldPath => ['l7', 'upstreams', name, ...fields];

/** By the function that names the files. */
const FIELDS: readonly (readonly [Named, (name: string) => FieldPath])[] = [
  [(name) => certificateFile(name, ''), frontend('certificates')],
  [certificateListFile, frontend('certificates')],
  [ticketKeysFile, () => ['l7', 'key_file']],
  [clientAuthoritiesFile, frontend('clients', 'ca_file')],
  [serverAuthoritiesFile, upstream('tls', 'ca_file')],
  [ownCertificateFile, upstream('tls', 'certificate')],
];

/** @param file its path within the generation's directory; undefined for others */
export function fieldOfFile(file: string): FieldPath | undefined {
  const [folder, name = ''] = file.split('/');
  const found = FIELDS.find(([named]) => named('x').split('/')[0] === folder);
  return name === '' ? undefined : found?.[1](name);
}
