/** What a host says of a store that does not answer: which certificate is wrong and what to do, as far as TLS tells (access.long.test.ts has real ones). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultInWords } from '#anyhop/fleet/store-fault.js';

const TLS = '14 UNAVAILABLE: No connection established. Last error: ';
const CASES: readonly (readonly [said: string, words: string])[] = [
  [
    `${TLS}80DC0239DC7F0000:error:0A000412:SSL routines:ssl3_read_bytes:sslv3 alert bad certificate:rec_layer_s3.c:1601:SSL alert number 42`,
    'the server refuses hosts without a certificate: name one in fleet.certificate',
  ],
  [
    `${TLS}Error: unable to verify the first certificate`,
    "the server's certificate is signed by none of fleet.ca_file: put the certificate of the authority that signed it there",
  ],
  [`${TLS}Error: certificate has expired`, "the server's certificate has expired: renew it there"],
  [
    `${TLS}Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: IP: 10.0.0.5 is not in the cert's list: 10.0.0.6`,
    "the server's certificate is for another name (IP: 10.0.0.5 is not in the cert's list: 10.0.0.6): name the server in fleet.endpoints as its certificate does, or give it a certificate for this name",
  ],
  ['4 DEADLINE_EXCEEDED: Deadline exceeded. Resolution note: ', '4 DEADLINE_EXCEEDED: Deadline exceeded'],
];

test('names the certificate that is refused, and what to do', () => {
  for (const [said, words] of CASES) {
    const { event, why } = faultInWords(new Error(said), 'read', undefined);
    assert.deepEqual([event, why], ['fleet_store_away', words]);
  }
});
