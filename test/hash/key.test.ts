/** The keys of flow hashes: held to vectors, and apart from each other. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import type { HashMode, Protocol } from '#anyhop/config/types.js';
import { deriveFlowKey } from '#anyhop/hash/key.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { VECTORS } from './vectors.js';

const KEY_BYTES = 40;
const secret = Buffer.from(VECTORS.secret, 'hex');

function keyOf(ikm: Uint8Array, mode: HashMode, protocol: Protocol, vip: string): string {
  const bytes = Buffer.alloc(KEY_BYTES);
  const words = deriveFlowKey(ikm, mode, protocol, parseAddress(vip)!);
  for (const [i, word] of words.entries()) bytes.writeInt32LE(word, i * 4);
  return bytes.toString('hex');
}

/** RFC 5869 with SHA-256, no salt, for up to 64 bytes: extract, then the first two blocks of expand. */
function hkdf(ikm: Uint8Array, info: string, length: number): string {
  const extracted = createHmac('sha256', Buffer.alloc(32)).update(ikm).digest();
  const first = createHmac('sha256', extracted).update(info).update(Uint8Array.of(1)).digest();
  const second = createHmac('sha256', extracted).update(first).update(info).update(Uint8Array.of(2)).digest();
  return Buffer.concat([first, second]).subarray(0, length).toString('hex');
}

describe('the key of a flow hash', () => {
  it('is that of the shared vectors, for every flow', () => {
    assert.ok(VECTORS.flows.length > 60);
    for (const { mode, protocol, vip, info, key } of VECTORS.flows) {
      assert.equal(keyOf(secret, mode, protocol, vip), key, info);
    }
  });

  it('is HKDF-SHA256 of the secret and of the text that the vectors name, for secrets of any length', () => {
    for (const { mode, protocol, vip, info, key } of VECTORS.flows) {
      assert.equal(hkdf(secret, info, KEY_BYTES), key, info);
      for (const length of [1, 32, 64, 65, 512]) {
        const other = new Uint8Array(length).fill(length);
        assert.equal(keyOf(other, mode, protocol, vip), hkdf(other, info, KEY_BYTES));
      }
    }
  });

  it('differs between kinds of hash, protocols and VIPs, and for a hash by source is one for all', () => {
    const vips = ['203.0.113.10', '203.0.113.11', '203.0.113.1', '2001:db8::10', '2001:db8::1'];
    const keys: string[] = [];
    const bySource: string[] = [];
    for (const vip of vips) {
      for (const protocol of ['tcp', 'udp'] as const) {
        for (const mode of ['5-tuple', '3-tuple'] as const) keys.push(keyOf(secret, mode, protocol, vip));
        bySource.push(keyOf(secret, 'source', protocol, vip));
      }
    }
    assert.equal(new Set(keys).size, vips.length * 4);
    assert.equal(new Set(bySource).size, 1);
    assert.ok(!keys.includes(bySource[0]));
  });

  it('differs between secrets', () => {
    const other = Buffer.from(secret);
    other[other.length - 1] ^= 1;
    const ask = (ikm: Uint8Array) => keyOf(ikm, 'source', 'tcp', '203.0.113.10');
    assert.notEqual(ask(other), ask(secret));
  });
});
