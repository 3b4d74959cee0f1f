/**
 * A certificate authority for tests: it signs certificates for servers and clients with openssl. All files are of mode 0600, and a
 * certificate is one PEM file of certificate and key, as HAProxy, nginx, Node and curl read it.
 *
 *   const authority = await createAuthority(lab.resources.directory);
 *   await authority.serverCertificate(join(directory, 'shop.pem'), ['shop.example.com', '*.shop.example.com']);
 *   await authority.serverCertificate(join(directory, 'shop.pem'), [...]);    // again: renewed, in one step
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { replaceOwnFile } from '#anyhop/core/own-file.js';
import { run } from './command.js';

/** Key and certificate are printed, one after the other, so a key is in no file before its certificate is. */
const REQUEST = [
  'openssl',
  'req',
  '-x509',
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:P-256',
  '-noenc',
  '-keyout',
  '-',
];
const CA_EXTENSIONS = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
const LEAF_EXTENSIONS = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature'];
const CA_DAYS = 30;
const LEAF_DAYS = 7;

export interface Authority {
  /** Its own certificate, which clients trust. */
  readonly file: string;
  /**
   * For DNS names and addresses; the first is the common name. The certificate is good from now on, for `days` (7 when not given).
   * Resolves to its serial number in upper-case hexadecimal digits.
   */
  serverCertificate(file: string, names: readonly string[], days?: number): Promise<string>;
  /** The same for a machine that is client and server, such as a node among its siblings. */
  peerCertificate(file: string, names: readonly string[], days?: number): Promise<string>;
  /** For a client, which has the common name. Resolves to the serial number, like the other. */
  clientCertificate(file: string, name: string, days?: number): Promise<string>;
  /** The same for a client, and it has expired a day ago. */
  expiredCertificate(file: string, name: string): Promise<void>;
}

/** Makes an authority with its files in `directory`, which is there; `name` tells several apart. */
export async function createAuthority(directory: string, name = 'ca'): Promise<Authority> {
  const file = join(directory, `${name}.pem`);
  const withKey = join(directory, `${name}.key`);
  const own = await certificate(`anyhop test ${name}`, CA_DAYS, CA_EXTENSIONS);
  await replaceOwnFile(withKey, own);
  await replaceOwnFile(file, new X509Certificate(own).toString());

  const signed = ['-CA', withKey, '-CAkey', withKey];
  const issue = async (
    path: string,
    subject: string,
    days: number,
    extensions: readonly string[],
  ): Promise<string> => {
    const text = await certificate(subject, days, [...LEAF_EXTENSIONS, ...extensions], signed);
    await replaceOwnFile(path, text);
    return new X509Certificate(text).serialNumber;
  };
  const issueFor = (usage: string, path: string, names: readonly string[], days: number): Promise<string> => {
    const alternatives = names.map((each) => `${isIP(each) === 0 ? 'DNS' : 'IP'}:${each}`).join(',');
    return issue(path, names[0]!, days, [`extendedKeyUsage=${usage}`, `subjectAltName=${alternatives}`]);
  };
  const clientCertificate = (path: string, subject: string, days = LEAF_DAYS): Promise<string> =>
    issue(path, subject, days, ['extendedKeyUsage=clientAuth']);
  /** openssl makes no expired certificate from nothing, and signs a request for one. */
  const expire = async (path: string): Promise<void> => {
    const request = `${path}.csr`;
    const copied = ['-copy_extensions', 'copyall'];
    const asked = await run(['openssl', 'x509', '-x509toreq', '-in', path, '-signkey', path, ...copied]);
    await replaceOwnFile(request, asked);
    const old = await run(['openssl', 'x509', '-req', '-in', request, ...signed, ...copied, '-days', '-1']);
    const [key = ''] =
      /-----BEGIN PRIVATE KEY-----[\s\S]+-----END PRIVATE KEY-----\n/.exec(readFileSync(path, 'utf8')) ?? [];
    await replaceOwnFile(path, key + old);
  };
  return {
    file,
    serverCertificate: (path, names, days = LEAF_DAYS) => issueFor('serverAuth', path, names, days),
    peerCertificate: (path, names, days = LEAF_DAYS) => issueFor('serverAuth,clientAuth', path, names, days),
    clientCertificate,
    expiredCertificate: async (path, subject) => {
      await clientCertificate(path, subject);
      await expire(path);
    },
  };
}

function certificate(
  subject: string,
  days: number,
  extensions: readonly string[],
  signed: readonly string[] = [],
): Promise<string> {
  const options = ['-subj', `/CN=${subject}`, '-days', `${days}`, ...signed];
  return run([...REQUEST, ...options, ...extensions.flatMap((each) => ['-addext', each])]);
}
