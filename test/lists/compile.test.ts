/**
 * Compiled lists, read in TypeScript and in C, say what a comparison with every prefix says: at the ends of every prefix, beside them, and
 * anywhere.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { L } from '#anyhop/core/layout.gen.js';
import { Lists } from '#anyhop/forward/lists.js';
import { PrefixColumns, type Prefixes } from '#anyhop/lists/columns.js';
import { compileLists } from '#anyhop/lists/compile.js';
import { addressFromBytes, type IpPrefix } from '#anyhop/packet/address.js';
import { devLibrary } from '../../scripts/native/object.js';
import { Random, seedOfRun } from '../differential/random.js';
import { bitsOf, bytesOf, type ListedPrefix, naive, type Verdict } from './naive.js';

const VERDICTS: readonly Verdict[] = ['none', 'block', 'allow'];

function ipPrefix({ family, address, length }: ListedPrefix): IpPrefix {
  const first = addressFromBytes(bytesOf(family, address));
  return { address: first, length, text: `${first.text}/${length}` };
}

function columns(prefixes: readonly ListedPrefix[], verdict: Verdict): Prefixes {
  return PrefixColumns.of(prefixes.filter((prefix) => prefix.verdict === verdict).map(ipPrefix));
}

function compile(prefixes: readonly ListedPrefix[], seed = 1): SharedArrayBuffer | undefined {
  const random = new Random(seed);
  const input = { allow: [columns(prefixes, 'allow')], block: [columns(prefixes, 'block')] };
  return compileLists(input, (below) => random.below(below));
}

function inTypeScript(memory: SharedArrayBuffer, family: 4 | 6, addresses: readonly bigint[]): Verdict[] {
  const lists = new Lists(memory);
  return addresses.map((address) => {
    const view = new DataView(bytesOf(family, address).buffer);
    const word = (i: number): number => view.getInt32(i * 4);
    return VERDICTS[family === 4 ? lists.of4(word(0)) : lists.of6(word(0), word(1), word(2), word(3))];
  });
}

function inC(memory: SharedArrayBuffer, family: 4 | 6, addresses: readonly bigint[]): Verdict[] {
  const asked = Buffer.alloc(addresses.length * 16);
  for (const [i, address] of addresses.entries()) asked.set(bytesOf(family, address), i * 16);
  const out = Buffer.alloc(addresses.length);
  const copy = Buffer.alloc(memory.byteLength);
  copy.set(new Uint8Array(memory));
  devLibrary.call('ERR_NATIVE', 'anyhop_dev_lists', copy, copy.length, asked, addresses.length, family, out);
  return Array.from(out, (listed) => VERDICTS[listed]);
}

/** The first and the last address of a prefix, and those beside them. */
function edges({ family, address, length }: ListedPrefix): bigint[] {
  const all = (1n << BigInt(bitsOf(family))) - 1n;
  const last = address | ((1n << BigInt(bitsOf(family) - length)) - 1n);
  return [address - 1n, address, address + 1n, last - 1n, last, last + 1n].map((edge) => edge & all);
}

function show(family: 4 | 6, address: bigint): string {
  return addressFromBytes(bytesOf(family, address)).text;
}

function check(prefixes: readonly ListedPrefix[], more: readonly bigint[] = [], seed = 1): void {
  const memory = compile(prefixes, seed);
  for (const family of [4, 6] as const) {
    const mine = prefixes.filter((prefix) => prefix.family === family);
    const addresses = [...mine.flatMap(edges), ...more.map((n) => n >> BigInt(128 - bitsOf(family))), 0n];
    const [typescript, c] =
      memory === undefined
        ? [addresses.map(() => 'none' as const), addresses.map(() => 'none' as const)]
        : [inTypeScript(memory, family, addresses), inC(memory, family, addresses)];
    for (const [i, address] of addresses.entries()) {
      const expected = naive(mine, family, address);
      assert.equal(typescript[i], expected, `${show(family, address)} in TypeScript`);
      assert.equal(c[i], expected, `${show(family, address)} in C`);
    }
  }
}

/** Few first bytes and few different ones, so that prefixes lie in one another and share groups. */
const prefix: fc.Arbitrary<ListedPrefix> = fc
  .record({
    family: fc.constantFrom(4 as const, 6 as const),
    verdict: fc.constantFrom('block' as const, 'allow' as const),
    bytes: fc.array(fc.constantFrom(0, 0, 0, 1, 0x20, 0x80, 0xff), { minLength: 16, maxLength: 16 }),
    length: fc.oneof(
      fc.integer({ min: 0, max: 128 }),
      fc.constantFrom(16, 24, 31, 32, 47, 48, 63, 64, 96, 127, 128),
    ),
  })
  .map(({ family, verdict, bytes, length: wanted }) => {
    const bits = bitsOf(family);
    const length = family === 4 ? Math.min(32, wanted % 33) : wanted;
    const hosts = BigInt(bits - length);
    const all = bytes.slice(0, bits / 8).reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    return { family, verdict, length, address: (all >> hosts) << hosts };
  });

describe('compiled lists', () => {
  it('say the same as a comparison with every prefix, for any prefixes in one another', () => {
    const lists = fc.array(prefix, { maxLength: 60, size: 'max' });
    const others = fc.array(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), { maxLength: 5 });
    fc.assert(
      fc.property(lists, others, fc.nat(), (prefixes, more, seed) => check(prefixes, more, seed)),
      { numRuns: 30 },
    );
  });

  it('are nothing without a prefix', () => {
    assert.equal(compile([]), undefined);
  });

  it('hold for the whole address space, and for single addresses at its ends', () => {
    for (const family of [4, 6] as const) {
      const bits = bitsOf(family);
      const last = (1n << BigInt(bits)) - 1n;
      check([{ family, address: 0n, length: 0, verdict: 'block' }], [0n, (1n << 128n) - 1n]);
      check([
        { family, address: 0n, length: 0, verdict: 'block' },
        { family, address: 0n, length: bits, verdict: 'allow' },
        { family, address: last, length: bits, verdict: 'allow' },
      ]);
    }
  });

  it('take allow inside of block inside of allow, and allow of equal prefixes', () => {
    for (const family of [4, 6] as const) {
      const bits = bitsOf(family);
      const nested = Array.from({ length: bits + 1 }, (_, length): ListedPrefix[] => [
        { family, address: 0n, length, verdict: length % 2 === 0 ? 'block' : 'allow' },
      ]).flat();
      check(nested);
      check([...nested, ...nested.map((one) => ({ ...one, verdict: 'allow' as const }))]);
    }
  });

  it('know each of many addresses of one /24 and of one /64, and each of many /64s of one /32', () => {
    const random = new Random(7);
    const many: ListedPrefix[] = [];
    for (let i = 0; i < 300; i++) {
      const verdict = random.pick(['block', 'allow'] as const);
      many.push({ family: 4, address: (10n << 24n) | BigInt(random.below(256)), length: 32, verdict });
      many.push({
        family: 6,
        address: (0x20010db8n << 96n) | BigInt(random.below(1000)),
        length: 128,
        verdict,
      });
      many.push({
        family: 6,
        address: (0x20010db8n << 96n) | (BigInt(random.below(2 ** 31)) << 64n),
        length: 64,
        verdict,
      });
      many.push({
        family: 6,
        address: (0x20010db8n << 96n) | (BigInt(random.below(65536)) << 80n),
        length: 48,
        verdict,
      });
    }
    check(many);
  });

  it('say the same in C and TypeScript of any address, with many groups', () => {
    const seed = seedOfRun();
    const random = new Random(seed);
    const many: ListedPrefix[] = [];
    const byTens = (below: number): bigint => BigInt(random.below(below));
    for (let i = 0; i < 4_000; i++) {
      const length = random.pick([29, 32, 36, 44, 48, 52, 56, 60, 64, 128]);
      const address =
        (0x2a00n << 112n) | (byTens(64) << 96n) | (byTens(64) << 80n) | (byTens(64) << 64n) | byTens(4);
      const hosts = BigInt(128 - length);
      many.push({
        family: 6,
        verdict: random.pick(['block', 'allow'] as const),
        length,
        address: (address >> hosts) << hosts,
      });
      const length4 = random.pick([8, 16, 22, 24, 25, 28, 32]);
      const hosts4 = BigInt(32 - length4);
      many.push({
        family: 4,
        verdict: random.pick(['block', 'allow'] as const),
        length: length4,
        address: (byTens(2 ** 32) >> hosts4) << hosts4,
      });
    }
    const memory = compile(many, seed)!;
    for (const family of [4, 6] as const) {
      const mine = many.filter((one) => one.family === family);
      const addresses = mine.slice(0, 800).flatMap(edges);
      const c = inC(memory, family, addresses);
      assert.deepEqual(inTypeScript(memory, family, addresses), c, `seed ${seed}`);
      for (let i = 0; i < addresses.length; i += 60)
        assert.equal(c[i], naive(mine, family, addresses[i]), `${show(family, addresses[i])}, seed ${seed}`);
    }
  });

  it('that are damaged never lead a reader in C out of their memory', () => {
    const seed = seedOfRun();
    const random = new Random(seed);
    const many = fc.sample(prefix, { numRuns: 200, seed });
    const memory = compile(many, seed)!;
    const addresses = Array.from(
      { length: 500 },
      () => BigInt(random.below(2 ** 32)) << BigInt(random.below(96)),
    );
    for (let round = 0; round < 20; round++) {
      const words = new Uint32Array(memory, 0, L.SIZEOF_LISTS / 4);
      const [at, was] = [random.below(words.length), words[0]];
      const before = words[at];
      words[at] = random.below(2 ** 32);
      inC(memory, 6, addresses);
      inC(
        memory,
        4,
        addresses.map((address) => address & 0xffffffffn),
      );
      words[at] = before;
      assert.equal(words[0], was);
    }
  });
});
