/**
 * Why the store does not answer, in words, and what to do about it. TLS names a certificate that it refuses by the number of an alert, and
 * gRPC passes that on; which certificate is wrong, and why, is told from the one that this host has.
 */
import { X509Certificate } from 'node:crypto';
import { EtcdPermissionDeniedError } from 'etcd3';
import type { Secret } from '../config/secret.js';
import { reasonOf } from '../core/reason.js';
import { clockTime } from '../core/time.js';

/** What gRPC adds to some of its messages. */
const EMPTY_NOTE = /\.? Resolution note: *$/;
/** What a server says of a client's certificate, or of none. */
const REFUSED = /SSL alert number (?:4[2-68]|116)\b|alert (?:bad |unknown )?certificate/;
const UNKNOWN_AUTHORITY =
  /unable to (?:verify the first certificate|get (?:local )?issuer certificate)|self-signed certificate/;
const OTHER_NAME =
  /ERR_TLS_CERT_ALTNAME_INVALID\]?: (?:Hostname\/IP does not match certificate's altnames: )?(.*)$/s;
const EXPIRED = /certificate has expired/;

export interface FaultInWords {
  readonly event: 'fleet_store_away' | 'fleet_store_refuses';
  /** What the store does. */
  readonly what: string;
  readonly why: string;
  readonly hint: string;
}

/** @param certificate of this host @param kind what was asked for */
export function faultInWords(
  error: unknown,
  kind: 'read' | 'write',
  certificate: Secret | undefined,
): FaultInWords {
  const why = reasonOf(error).replace(EMPTY_NOTE, '');
  if (error instanceof EtcdPermissionDeniedError)
    return {
      event: 'fleet_store_refuses',
      what: `refuses this host to ${kind}`,
      why,
      hint: 'docs/fleet.md says which rights each host needs in etcd.',
    };
  return {
    event: 'fleet_store_away',
    what: 'does not answer',
    why: ofCertificates(why, certificate) ?? why,
    hint: 'fleet.endpoints names its servers; `etcdctl endpoint status` asks them.',
  };
}

/** Undefined when no certificate is why. */
function ofCertificates(why: string, certificate: Secret | undefined): string | undefined {
  if (REFUSED.test(why)) return `the server refuses ${ofThisHost(certificate)}`;
  if (UNKNOWN_AUTHORITY.test(why))
    return "the server's certificate is signed by none of fleet.ca_file: put the certificate of the authority that signed it there";
  if (EXPIRED.test(why)) return "the server's certificate has expired: renew it there";
  const [, names] = OTHER_NAME.exec(why) ?? [];
  if (names === undefined) return undefined;
  return `the server's certificate is for another name (${names.trim()}): name the server in fleet.endpoints as its certificate does, or give it a certificate for this name`;
}

function ofThisHost(certificate: Secret | undefined): string {
  if (certificate === undefined) return 'hosts without a certificate: name one in fleet.certificate';
  const { subject, issuer, validFrom, validTo } = new X509Certificate(Buffer.from(certificate.reveal()));
  const own = `the certificate of this host (fleet.certificate: ${onOneLine(subject)})`;
  const [fromMs, toMs] = [validFrom, validTo].map((date) => Date.parse(date)) as [number, number];
  const at = (ms: number): string => clockTime(new Date(ms).toISOString());
  if (toMs < Date.now()) return `${own}, which expired at ${at(toMs)}: renew the file; no restart is needed`;
  if (fromMs > Date.now())
    return `${own}, which is not valid before ${at(fromMs)}: set the clock of this host`;
  return `${own}, signed by ${onOneLine(issuer)}: have it signed by an authority that etcd trusts (its --trusted-ca-file)`;
}

function onOneLine(name: string): string {
  return name.split('\n').join(', ');
}
