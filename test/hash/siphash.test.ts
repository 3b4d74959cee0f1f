/** SipHash-2-4 and the key of SYN cookies: held to published vectors, and to SipHash's definition in BigInt. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { keyFingerprint } from '#anyhop/config/key-fingerprint.js';
import { COOKIE_KEY_SIZE, cookieKeyFingerprint, deriveCookieKey } from '#anyhop/hash/cookie-key.js';
import { sipHash } from '#anyhop/hash/siphash.js';
import { COOKIE_VECTORS } from './cookie-vectors.js';
import { oracleSipHash } from './oracle.js';

/** The hash of any message, as 16 digits in the order of its bytes. */
function sip(key: Uint8Array, message: Uint8Array): string {
  const padded = Buffer.alloc(Math.floor(message.length / 8) * 8 + 8);
  padded.set(message);
  padded[padded.length - 1] = message.length;
  const words = Int32Array.from({ length: padded.length / 4 }, (_, i) => padded.readInt32LE(4 * i));
  // The key stands somewhere in its memory, as in an image.
  const memory = new Int32Array(7).fill(-1);
  memory.set(new Int32Array(Uint8Array.from(key).buffer), 2);
  const out = new Int32Array(2);
  sipHash(memory, 2, words, words.length / 2, out);
  return Buffer.from(out.buffer).toString('hex');
}

const digits = (n: bigint): string => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(n);
  return bytes.toString('hex');
};

/** Bytes whose words carry, among others. */
const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 255)), { minLength, maxLength })
    .map((list) => Uint8Array.from(list));

describe('SipHash-2-4', () => {
  it('gives what its authors published, for messages of no bytes to 63', () => {
    const key = Uint8Array.from({ length: 16 }, (_, i) => i);
    assert.equal(COOKIE_VECTORS.siphash.length, 64);
    for (const [length, want] of COOKIE_VECTORS.siphash.entries())
      assert.equal(
        sip(
          key,
          Uint8Array.from({ length }, (_, i) => i),
        ),
        want,
        `${length} bytes`,
      );
    assert.equal(
      COOKIE_VECTORS.siphash[15],
      digits(0xa129ca6149be45e5n),
      'the one of the paper, in its appendix A',
    );
  });

  it('equals its definition in BigInt for any key and message', () => {
    fc.assert(
      fc.property(bytes(16, 16), bytes(0, 70), (key, message) => {
        assert.equal(sip(key, message), digits(oracleSipHash(key, message)));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the key of SYN cookies', () => {
  const secret = Buffer.from(COOKIE_VECTORS.secret, 'hex');

  it('is that of the shared vectors, and so is what tells it from others', () => {
    const key = deriveCookieKey(secret);
    assert.equal(key.length, COOKIE_KEY_SIZE);
    assert.equal(Buffer.from(key).toString('hex'), COOKIE_VECTORS.key);
    assert.equal(cookieKeyFingerprint(key), COOKIE_VECTORS.fingerprint);
  });

  it('has nothing in common with the secret’s other uses', () => {
    const key = deriveCookieKey(secret);
    const fingerprints = [keyFingerprint(secret), keyFingerprint(key), cookieKeyFingerprint(key)];
    assert.equal(new Set([...fingerprints, cookieKeyFingerprint(secret)]).size, 4);
    assert.notDeepEqual(key, new Uint8Array(secret));
  });
});
