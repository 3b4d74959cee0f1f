/** ICMP errors as raw sockets give them: read by what they quote, and nothing else is taken for one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '#anyhop/packet/address.js';
import { readIcmpError } from '#anyhop/packet/icmp-error.js';
import { composeTcp } from '#anyhop/packet/tcp.js';

const endpoint = (text: string, port: number) => ({ address: parseAddress(text)!, port });
const QUOTED = {
  4: composeTcp(endpoint('10.0.0.1', 61_000), endpoint('203.0.113.10', 80), {
    sequence: 1,
    acknowledgment: 0,
    flags: 2,
  }),
  6: composeTcp(endpoint('fd00::1', 61_000), endpoint('2001:db8::10', 80), {
    sequence: 1,
    acknowledgment: 0,
    flags: 2,
  }),
};
const IPV4_HEADER = Buffer.from('4500000000004000400100000a0000fe0a000001', 'hex');

/** As a raw socket gives it. */
function message(family: 4 | 6, type: number, code: number, rest: number): Buffer {
  const icmp = Buffer.alloc(8);
  icmp.writeUInt8(type, 0);
  icmp.writeUInt8(code, 1);
  icmp.writeUInt32BE(rest, 4);
  return Buffer.concat([...(family === 4 ? [IPV4_HEADER] : []), icmp, QUOTED[family]]);
}

test('say what is wrong, who says so, and about which packet', () => {
  const cases = [
    [4, 3, 4, 1400, 'too_big', 1400],
    [4, 3, 3, 0, 'unreachable', 0],
    [4, 11, 0, 0, 'time_exceeded', 0],
    [6, 2, 0, 1280, 'too_big', 1280],
    [6, 1, 4, 0, 'unreachable', 0],
    [6, 3, 0, 0, 'time_exceeded', 0],
  ] as const;
  for (const [family, type, code, rest, kind, mtu] of cases) {
    const sender = family === 4 ? '10.0.0.254' : 'fe80::1%eth0';
    const error = readIcmpError(family, message(family, type, code, rest), sender)!;
    assert.deepEqual(
      [error.kind, error.code, error.mtu, error.from.text],
      [kind, code, mtu, sender.split('%')[0]],
    );
    const { quoted } = error;
    assert.equal(quoted.length, QUOTED[family].length);
    assert.deepEqual([quoted.protocol, quoted.first], [6, 61_000 * 0x10000 + 80]);
    assert.equal(quoted.destination.text, family === 4 ? '203.0.113.10' : '2001:db8::10');
  }
  for (const type of [0, 5, 8])
    assert.equal(readIcmpError(4, message(4, type, 0, 0), '10.0.0.254'), undefined);
  for (const type of [4, 128, 135])
    assert.equal(readIcmpError(6, message(6, type, 0, 0), 'fe80::1'), undefined);
});

test('are refused when they are cut short or damaged, and nothing throws', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<4 | 6>(4, 6),
      fc.uint8Array({ maxLength: 100 }),
      fc.nat(47),
      (family, bytes, length) => {
        readIcmpError(family, bytes, '10.0.0.254');
        const whole = message(family, family === 4 ? 3 : 1, 4, 0);
        const short = whole.subarray(0, Math.min(length, (family === 4 ? 20 : 0) + 8 + 20));
        assert.equal(readIcmpError(family, short, family === 4 ? '10.0.0.254' : 'fe80::1'), undefined);
      },
    ),
  );
});
