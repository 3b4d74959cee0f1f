/** Routers' reports about GRE packets: real ones are read, and what is not about a packet of ours is not. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type IpPrefix, parsePrefix } from '#anyhop/packet/address.js';
import { readTooBig } from '#anyhop/packet/too-big.js';
import { gre, icmpError, icmpv6Error, ipv4, ipv6, packet, payload } from './build.js';

const SOURCE4 = parsePrefix('10.0.9.0/28') as IpPrefix;
const SOURCE6 = parsePrefix('fd00::1') as IpPrefix;
const big4 = packet(
  ipv4({ src: '10.0.9.5', dst: '10.1.0.11', df: true, protocol: 47 }),
  gre({ key: 0x01020304, etherType: 0x0800 }),
  payload(1472),
);
const big6 = packet(
  ipv6({ src: 'fd00::1', dst: 'fd00:1::11', nextHeader: 47 }),
  gre({ etherType: 0x86dd }),
  payload(1456),
);
const about4 = (about: Uint8Array, quoteBytes = 28) =>
  packet(
    ipv4({ src: '10.9.9.9', dst: '10.0.9.5' }),
    icmpError({ type: 3, code: 4, mtu: 1400, about, quoteBytes }),
  );
const about6 = (about: Uint8Array) =>
  packet(
    ipv6({ src: 'fd00:9::9', dst: 'fd00::1' }),
    icmpv6Error({ type: 2, mtu: 1400, about, quoteBytes: 1000 }),
  );

describe('a report that a GRE packet is too big', () => {
  it('is read for what it says: who, about whom, how long and what fits', () => {
    const found4 = readTooBig(about4(big4), SOURCE4)!;
    assert.deepEqual([found4.router.text, found4.backend.text], ['10.9.9.9', '10.1.0.11']);
    assert.deepEqual([found4.length, found4.mtu], [1500, 1400]);
    const found6 = readTooBig(about6(big6), SOURCE6)!;
    assert.deepEqual([found6.router.text, found6.backend.text], ['fd00:9::9', 'fd00:1::11']);
    assert.deepEqual([found6.length, found6.mtu], [1500, 1400]);
    assert.equal(readTooBig(about4(big4, 548), SOURCE4)?.mtu, 1400);
  });

  it('is read when it is cut, without its checksum, but not when that is wrong', () => {
    const whole = about4(big4, 548);
    assert.equal(readTooBig(whole.subarray(0, 100), SOURCE4)?.mtu, 1400);
    for (const [report, source, at] of [
      [about4(big4), SOURCE4, 27],
      [about6(big6), SOURCE6, 47],
    ] as const) {
      report[at] ^= 1; // the MTU
      assert.equal(readTooBig(report, source), undefined);
    }
  });

  it('is none of ours when it is about another source, protocol, version of GRE, or a packet that may be fragmented', () => {
    const other = (options: object, flags = {}) =>
      packet(
        ipv4({ src: '10.0.9.5', dst: '10.1.0.11', df: true, protocol: 47, ...options }),
        gre({ etherType: 0x0800, ...flags }),
        payload(1476),
      );
    assert.notEqual(readTooBig(about4(other({})), SOURCE4), undefined);
    for (const about of [
      other({ src: '10.0.9.16' }),
      other({ protocol: 17 }),
      other({ df: false }),
      other({}, { version: 1 }),
      other({}, { sequence: 1 }),
      other({}, { etherType: 0x6558 }),
    ]) {
      assert.equal(readTooBig(about4(about), SOURCE4), undefined);
    }
  });

  it('is refused without a fault whatever the bytes are and wherever they end', () => {
    for (const [report, source] of [
      [about4(big4, 100), SOURCE4],
      [about6(big6), SOURCE6],
    ] as const) {
      fc.assert(
        fc.property(
          fc.nat(report.length),
          fc.nat(120),
          fc.integer({ min: 0, max: 255 }),
          (length, at, value) => {
            const bytes = report.slice(0, length);
            if (at < length) bytes[at] = value;
            readTooBig(bytes, source);
          },
        ),
      );
    }
  });
});
