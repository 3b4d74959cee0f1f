/** Addresses and prefixes as text and bytes, held to the platform's own reading of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseAddress, parsePrefix, prefixContains, prefixesOverlap } from '#anyhop/packet/address.js';
import { finish } from '#anyhop/packet/checksum.js';
import { ipv6Text } from './decode-util.js';
import { addressBytes } from './layer.js';

describe('an address', () => {
  it('over IPv6 has the bytes and the canonical text (RFC 5952) that the platform gives it', () => {
    const word = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(fc.array(word, { minLength: 8, maxLength: 8 }), (words) => {
        const long = words.map((each) => each.toString(16).padStart(4, '0').toUpperCase()).join(':');
        const address = parseAddress(long)!;
        assert.deepEqual(address.bytes, addressBytes(long));
        // The platform writes mapped ones in hexadecimal digits throughout.
        const isMapped = words.slice(0, 5).every((each) => each === 0) && words[5] === 0xffff;
        const dotted = `::ffff:${address.bytes.subarray(12).join('.')}`;
        assert.equal(address.text, isMapped ? dotted : ipv6Text(address.bytes));
        assert.deepEqual(parseAddress(address.text)!.bytes, address.bytes);
      }),
      { numRuns: 1000 },
    );
    assert.equal(parseAddress('1:0:0:2:0:0:3:4')!.text, '1::2:0:0:3:4'); // the first of two equal runs
    assert.deepEqual(parseAddress('::ffff:198.51.100.7')!.bytes, addressBytes('::ffff:c633:6407'));
    // As people write it, however it was written (RFC 5952 section 5).
    for (const text of ['::ffff:198.51.100.7', '::ffff:c633:6407'])
      assert.equal(parseAddress(text)!.text, '::ffff:198.51.100.7');
    assert.equal(parseAddress('::fffe:c633:6407')!.text, '::fffe:c633:6407');
  });

  it('is refused with a zone, a port, a length, leading zeros or anything else that it does not have', () => {
    for (const text of [
      'fe80::1%eth0',
      '[::1]',
      '::1/64',
      '10.0.0.1:80',
      '010.0.0.1',
      '10.0.0',
      '1::2::3',
      '',
    ]) {
      assert.equal(parseAddress(text), undefined, text);
    }
  });
});

describe('a prefix', () => {
  it('has no host bits, and a length within its family', () => {
    for (const text of ['10.0.0.0/28', '0.0.0.0/0', '10.0.0.1/32', 'fd00::/8', '::1/128', '10.0.0.1']) {
      assert.notEqual(parsePrefix(text), undefined, text);
    }
    for (const text of [
      '10.0.0.1/28',
      '128.0.0.0/0',
      '10.0.0.0/33',
      'fd00::1/127',
      '::/129',
      '::/',
      '::/-1',
      '::/1e1',
    ]) {
      assert.equal(parsePrefix(text), undefined, text);
    }
    assert.equal(parsePrefix('10.0.0.1')!.text, '10.0.0.1/32');
  });

  it('contains exactly the addresses of its family that share its bits', () => {
    const byte = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(fc.tuple(byte, byte, byte, byte), fc.nat(32), fc.nat(31), (bytes, length, flipped) => {
        const word = bytes.reduce((all, each) => all * 256n + BigInt(each), 0n);
        const text = (value: bigint) => [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join('.');
        const network = (word >> BigInt(32 - length)) << BigInt(32 - length);
        const prefix = parsePrefix(`${text(network)}/${length}`)!;
        assert.ok(prefixContains(prefix, parseAddress(text(word))!));
        const other = parseAddress(text(word ^ (1n << BigInt(31 - flipped))))!;
        assert.equal(prefixContains(prefix, other), flipped >= length);
      }),
    );
    assert.equal(prefixContains(parsePrefix('0.0.0.0/0')!, parseAddress('::')!), false);
    assert.equal(prefixContains(parsePrefix('::/0')!, parseAddress('0.0.0.0')!), false);
  });

  it('overlaps another exactly when one contains the other, whichever comes first', () => {
    for (const [a, b, want] of [
      ['10.0.0.0/8', '10.1.0.0/16', true],
      ['10.0.0.0/8', '11.0.0.0/16', false],
      ['10.1.0.0/16', '10.1.0.0/16', true],
      ['10.1.0.0/16', '10.2.0.0/16', false],
      ['10.0.0.0/8', 'fd00::/8', false],
    ] as const) {
      assert.equal(prefixesOverlap(parsePrefix(a)!, parsePrefix(b)!), want, `${a} ${b}`);
      assert.equal(prefixesOverlap(parsePrefix(b)!, parsePrefix(a)!), want, `${b} ${a}`);
    }
  });
});

describe('the checksum of a sum', () => {
  it('is folded until nothing is carried, and inverted, for any sum of 32 bits', () => {
    const near = fc
      .tuple(fc.nat(0xffff), fc.integer({ min: -2, max: 2 }))
      .map(([high, d]) => Math.max(0, high * 0x10000 + 0xffff - high + d) % 2 ** 32);
    fc.assert(
      fc.property(fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), near), (sum) => {
        let folded = sum;
        while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000);
        assert.equal(finish(sum), 0xffff - folded);
      }),
      { numRuns: 2000 },
    );
  });
});
