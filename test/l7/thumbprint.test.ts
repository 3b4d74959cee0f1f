/** Thumbprints of account keys, against the RFC's own vector and an independent computation. */
import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, it } from 'node:test';
import { KeyFault, thumbprintOf } from '#anyhop/l7/thumbprint.js';

/** RFC 7638, section 3.1. */
const RFC_KEY = {
  kty: 'RSA',
  n:
    '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs' +
    'tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n' +
    '91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
  e: 'AQAB',
};
const RFC_THUMBPRINT = 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs';

const pemOf = (key: KeyObject): string =>
  String(key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' }));

describe('a thumbprint', () => {
  it("is that of the RFC for the RFC's key", () => {
    assert.equal(thumbprintOf(pemOf(createPublicKey({ key: RFC_KEY, format: 'jwk' }))), RFC_THUMBPRINT);
  });

  it('of an EC key covers curve and point, and is the same for the private and the public key', () => {
    for (const namedCurve of ['P-256', 'P-384']) {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
      const { x, y } = publicKey.export({ format: 'jwk' });
      const text = `{"crv":"${namedCurve}","kty":"EC","x":"${x}","y":"${y}"}`;
      const expected = createHash('sha256').update(text).digest('base64url');
      const sec1 = String(privateKey.export({ type: 'sec1', format: 'pem' }));
      for (const pem of [pemOf(publicKey), pemOf(privateKey), sec1, `a comment\n${sec1}`])
        assert.equal(thumbprintOf(pem), expected);
    }
  });

  it('needs a key that ACME servers accept, without a passphrase', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const cipher = { cipher: 'aes-128-cbc', passphrase: 'x' };
    const locked = [
      privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }),
      privateKey.export({ type: 'sec1', format: 'pem', ...cipher }),
    ];
    const kinds = [generateKeyPairSync('ed25519'), generateKeyPairSync('ec', { namedCurve: 'P-521' })];
    for (const [pem, message] of [
      ...locked.map((text) => [text, /passphrase/] as const),
      ...kinds.map(({ publicKey }) => [pemOf(publicKey), /of another kind \((Ed25519|P-521)\)/] as const),
      ['', /no key that can be read/] as const,
      [pemOf(privateKey).replace(/\n.{20}/, '\n'), /no key that can be read/] as const,
      ['-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n', /holds a certificate/] as const,
    ])
      assert.throws(
        () => thumbprintOf(String(pem)),
        (error) => error instanceof KeyFault && message.test(error.message),
      );
  });
});
