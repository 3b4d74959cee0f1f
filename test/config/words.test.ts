/** The small parts of a message: paths, quoted values, the nearest known word. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { nearest } from '#anyhop/config/nearest.js';
import { formatPath, quote } from '#anyhop/config/path.js';
import { formatPorts, parsePorts } from '#anyhop/config/ports.js';
import { isPrime, nextPrime } from '#anyhop/config/prime.js';
import { TABLE_SIZE_MAX } from '#anyhop/core/limits.js';

describe('the path of a field', () => {
  it('is written with dots and brackets, and odd keys in quotes', () => {
    assert.equal(formatPath(['pools', 'web', 'backends', 2, 'address']), 'pools.web.backends[2].address');
    assert.equal(formatPath(['pools', 'a.b', 'prior']), 'pools["a.b"].prior');
    assert.equal(formatPath(['node', 'c0ffee'.repeat(6)]), 'node["[hex digits]"]');
    assert.equal(formatPath([]), '');
  });
});

describe('a quoted value', () => {
  it('is printable ASCII of 62 characters and a few escapes at most, whatever comes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 500 }), (text) => {
        assert.match(quote(text), /^"[ -~]*"$/);
        assert.ok(JSON.parse(quote(text)).length <= 60);
      }),
    );
  });

  it('shows control characters, look-alike letters and ends of long texts for what they are', () => {
    assert.equal(quote('a\x1b[31m\u202e'), '"a\\u001b[31m\\u202e"');
    assert.equal(quote('w\u0435b'), '"w\\u0435b"');
    assert.equal(quote('x'.repeat(100)), `"${'x'.repeat(57)}..."`);
  });

  it('leaves out what may be a secret', () => {
    assert.equal(quote(`key=${'c0ffee'.repeat(6)}`), '"key=[hex digits]"');
    assert.equal(
      quote('fd00:1111:2222:3333:4444:5555:6666:7777'),
      '"fd00:1111:2222:3333:4444:5555:6666:7777"',
    );
  });
});

describe('the nearest word', () => {
  const KEYS = ['name', 'address', 'weight', 'state', 'agent', 'table_size', 'second_chance'];
  it('is the one meant, for one slip in a word, whatever the case and the separator', () => {
    const meant = {
      nmae: 'name',
      adress: 'address',
      Weight: 'weight',
      weigth: 'weight',
      'table-size': 'table_size',
      secondChance: 'second_chance',
      stat: 'state',
    };
    for (const [word, key] of Object.entries(meant)) assert.equal(nearest(word, KEYS), key);
  });

  it('is none when nothing is near', () => {
    for (const word of ['', 'x', 'mtu', 'backend', 'y'.repeat(100_000)])
      assert.equal(nearest(word, KEYS), undefined);
  });

  it('is always found after one random slip in a long word', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('address', 'table_size', 'second_chance'),
        fc.nat(),
        fc.constantFrom('x', ''),
        (key, place, put) => {
          const at = place % key.length;
          assert.equal(nearest(key.slice(0, at) + put + key.slice(at + 1), KEYS), key);
        },
      ),
    );
  });
});

describe('ports', () => {
  it('are read as they are written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 65535 }), fc.nat(70000), (first, size) => {
        const range = parsePorts(`${first}-${first + size}`);
        assert.deepEqual(range, first + size <= 65535 ? { first, last: first + size } : undefined);
        if (range !== undefined) assert.deepEqual(parsePorts(formatPorts(range)), range);
      }),
    );
    for (const bad of [0, -1, 1.5, 65536, '', '08', '1-', '-1', '2-1', '1 - 2', '0x50', '1-2-3'])
      assert.equal(parsePorts(bad), undefined);
  });
});

describe('primes', () => {
  it('are those that a sieve finds', () => {
    const composite = new Uint8Array(TABLE_SIZE_MAX + 1);
    for (let p = 2; p * p <= TABLE_SIZE_MAX; p++) {
      if (composite[p] === 0)
        for (let multiple = p * p; multiple <= TABLE_SIZE_MAX; multiple += p) composite[multiple] = 1;
    }
    for (let n = 2; n <= TABLE_SIZE_MAX; n++) assert.equal(isPrime(n), composite[n] === 0, String(n));
    assert.ok(!isPrime(0) && !isPrime(1));
    assert.equal(nextPrime(65536), 65537);
    assert.equal(nextPrime(TABLE_SIZE_MAX), TABLE_SIZE_MAX);
  });
});
