/** The answer to a SYN, byte by byte as a client reads it: what real systems offer, and what no cookie can answer. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import { cookieOptions } from '#anyhop/forward/cookie.js';
import { PacketState } from '#anyhop/forward/packet-state.js';
import { answerSyn, canAnswerSyn } from '#anyhop/forward/syn-answer.js';
import {
  concat,
  type EthernetOptions,
  frame,
  ipv4,
  ipv6,
  payload,
  tcp,
  tcpOption,
} from '../packets/build.js';
import { cookieOf } from '../packets/cookie.js';
import { imageOf, VIP4, VIP6 } from './fixture.js';

const KEY = Uint8Array.from({ length: 16 }, (_, i) => 16 * i);
const { nop, mss, sackPermitted, windowScale, timestamps, end, fastOpen, multipath, md5, authentication } =
  tcpOption;
const CLIENT4 = '198.51.100.7';
const CLIENT6 = '2001:db8:c::7';
const ISN = 0xfffffffe;
/** 4 epochs and a half. */
const FLEET_MS = 300 * 2 ** 32 + 4.5 * 16384 + 1;
const TSVAL = 0x11223344;

interface Syn {
  family?: 4 | 6;
  l2?: EthernetOptions;
  options?: Uint8Array;
  flags?: readonly ('syn' | 'ece' | 'cwr')[];
  data?: number;
  sport?: number;
  padTo?: number;
  owner?: { address: string; vlan?: number; mtu?: number };
  secondChance?: boolean;
  dataOffsetWords?: number;
}

function build(syn: Syn): Uint8Array {
  const ip = syn.family === 6 ? ipv6({ src: CLIENT6, dst: VIP6 }) : ipv4({ src: CLIENT4, dst: VIP4 });
  const segment = tcp({
    sport: syn.sport ?? 40000,
    dport: 80,
    flags: syn.flags ?? ['syn'],
    sequence: ISN,
    ...(syn.options && { options: syn.options }),
    ...(syn.dataOffsetWords !== undefined && { dataOffsetWords: syn.dataOffsetWords }),
  });
  return frame({ ...syn.l2, padTo: syn.padTo ?? 0 }, ip, segment, payload(syn.data ?? 0));
}

interface Answer {
  readonly bytes: Uint8Array;
  readonly ip: number;
  readonly tcp: number;
  readonly options: Uint8Array;
}

/** The answer to a SYN; undefined when there is none. */
function answer(syn: Syn): Answer | undefined {
  const sent = build(syn);
  const family = syn.family ?? 4;
  const owner = syn.owner ?? { address: '10.1.0.11' };
  const image = imageOf({ pools: { web: [{ ...owner, cookies: true }] }, cookieKey: KEY });
  const p = new PacketState(image);
  const memory = new Uint8Array(L.HEADROOM + sent.length);
  memory.set(sent, L.HEADROOM);
  const view = new DataView(memory.buffer);
  p.frame = L.HEADROOM;
  p.l3 = L.HEADROOM + 14 + 4 * (syn.l2?.vlans?.length ?? 0);
  p.end = p.l3 + (family === 4 ? view.getUint16(p.l3 + 2) : 40 + view.getUint16(p.l3 + 4));
  p.family = family;
  p.fleetMs = FLEET_MS;
  const l4 = p.l3 + (family === 4 ? 20 : 40);
  if (!canAnswerSyn(p, view, l4)) return undefined;
  answerSyn(p, view, l4, syn.secondChance ?? false);
  const bytes = memory.slice(p.outStart, p.outStart + p.outLength);
  const ip = p.outL2;
  const at = ip + (family === 4 ? 20 : 40);
  // 4 bytes more than came, at most, whatever came: nobody gains by it.
  assert.ok(bytes.length <= p.end - p.frame + 4, `${bytes.length} bytes for ${p.end - p.frame}`);
  return { bytes, ip, tcp: at, options: bytes.subarray(at + 20) };
}

/** The ones' complement sum of a region's words, folded: 0xffff where a checksum in it is right. */
function sum(bytes: Uint8Array, extra = 0): number {
  let total = extra;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

function cookieFor(family: 4 | 6, owner: string, options: number): number {
  const flow = {
    client: family === 4 ? CLIENT4 : CLIENT6,
    clientPort: 40000,
    vip: family === 4 ? VIP4 : VIP6,
    port: 80,
    isn: ISN,
    owner,
  };
  return cookieOf(KEY, flow, Math.floor(FLEET_MS / 16384), options);
}

const stamp = (value: number): Uint8Array => timestamps(value, TSVAL);
const EVEN = Number(BigInt(FLEET_MS) & 0xfffffffen);
const linux = concat(mss(1460), sackPermitted(), timestamps(TSVAL, 0), nop(), windowScale(10));

/** What systems offer; what they are told; the class of MSS, SACK and window scale in the cookie. */
const SYSTEMS: readonly [
  name: string,
  offered: Uint8Array,
  told: Uint8Array,
  mss: number,
  sack: number,
  wscale: number,
][] = [
  ['Linux', linux, concat(mss(1460), sackPermitted(), stamp(EVEN), nop(), windowScale(7)), 1460, 1, 10],
  [
    'Windows',
    concat(mss(1460), nop(), windowScale(8), nop(2), sackPermitted()),
    concat(mss(1460), nop(2), sackPermitted(), nop(), windowScale(7)),
    1460,
    1,
    8,
  ],
  [
    'Apple',
    concat(mss(1380), nop(), windowScale(6), nop(2), timestamps(TSVAL, 0), sackPermitted(), end(2)),
    concat(mss(1460), sackPermitted(), stamp(EVEN), nop(), windowScale(7)),
    1380,
    1,
    6,
  ],
  [
    'FreeBSD',
    concat(mss(1460), nop(), windowScale(6), sackPermitted(), timestamps(TSVAL, 0)),
    concat(mss(1460), sackPermitted(), stamp(EVEN), nop(), windowScale(7)),
    1460,
    1,
    6,
  ],
  ['nothing', new Uint8Array(0), mss(1460), 0, 0, 15],
  ['MSS alone', mss(1400), mss(1460), 1400, 0, 15],
  ['SACK alone', concat(mss(1460), sackPermitted()), concat(mss(1460), nop(2), sackPermitted()), 1460, 1, 15],
  ['window scale alone', concat(windowScale(14)), concat(mss(1460), nop(), windowScale(7)), 0, 0, 14],
  ['a window scale beyond the highest', windowScale(200), concat(mss(1460), nop(), windowScale(7)), 0, 0, 14],
  ['timestamps alone', timestamps(TSVAL, 0), concat(mss(1460), nop(2), stamp(EVEN)), 0, 0, 15],
  [
    'timestamps and window scale',
    concat(timestamps(TSVAL, 0), windowScale(3)),
    concat(mss(1460), nop(2), stamp(EVEN), nop(), windowScale(7)),
    0,
    0,
    3,
  ],
  [
    'timestamps and SACK',
    concat(sackPermitted(), timestamps(TSVAL, 0)),
    concat(mss(1460), sackPermitted(), stamp(EVEN)),
    0,
    1,
    15,
  ],
  ['of two of a kind, the last', concat(mss(500), mss(1460)), mss(1460), 1460, 0, 15],
  ['nothing behind the end', concat(mss(1460), end(2), windowScale(7)), mss(1460), 1460, 0, 15],
  [
    'nothing behind what cannot be',
    concat(mss(1460), Uint8Array.of(9, 1), windowScale(7)),
    mss(1460),
    1460,
    0,
    15,
  ],
  ['MPTCP, which falls back', concat(mss(1460), multipath()), mss(1460), 1460, 0, 15],
  [
    'a request for a cookie of TCP Fast Open',
    concat(mss(1460), fastOpen(new Uint8Array(0))),
    mss(1460),
    1460,
    0,
    15,
  ],
];

describe('the answer to a SYN', () => {
  for (const [name, options, told, size, sack, wscale] of SYSTEMS) {
    it(`tells a client what it offered, and keeps it in the cookie: ${name}`, () => {
      for (const family of [4, 6] as const) {
        const got = answer({ family, options });
        assert.ok(got);
        const { bytes, ip, tcp: at } = got;
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        const want = concat(told);
        if (family === 6) want[3] = 1440 & 0xff;
        if (family === 6) want[2] = 1440 >> 8;
        assert.deepEqual([...got.options], [...want], name);
        const cookie = cookieFor(family, '10.1.0.11', cookieOptions(size, sack, wscale, family));
        assert.equal(view.getUint32(at + 4), cookie);
        assert.equal(view.getUint32(at + 8), 0xffffffff, 'acknowledges the SYN and nothing else');
        assert.equal(view.getUint16(at), 80);
        assert.equal(view.getUint16(at + 2), 40000);
        assert.equal(bytes[at + 12] >> 4, (20 + want.length) / 4);
        assert.equal(bytes[at + 13], 0x12);
        assert.equal(view.getUint16(at + 14), L.COOKIE_WINDOW);
        assert.equal(bytes.length, at + 20 + want.length);
        const addresses = bytes.subarray(family === 4 ? ip + 12 : ip + 8, at);
        assert.equal(sum(bytes.subarray(at), sum(addresses, 6 + bytes.length - at)), 0xffff, 'TCP checksum');
        if (family === 4) assert.equal(sum(bytes.subarray(ip, at)), 0xffff, 'IP checksum');
      }
    });
  }

  it('goes back by the way that the SYN came: addresses swapped, tags kept, padding left out', () => {
    for (const vlans of [[], [7], [7, { id: 9, tpid: 0x88a8 }]]) {
      for (const family of [4, 6] as const) {
        const l2 = { vlans, dst: '02:00:00:00:00:aa', src: '02:00:00:00:00:bb' };
        const got = answer({ family, options: mss(1460), l2, padTo: 100 });
        assert.ok(got);
        assert.equal(got.ip, 14 + 4 * vlans.length);
        const sent = build({ family, options: mss(1460), l2 });
        assert.deepEqual([...got.bytes.subarray(0, 6)], [...sent.subarray(6, 12)]);
        assert.deepEqual([...got.bytes.subarray(6, 12)], [...sent.subarray(0, 6)]);
        assert.deepEqual([...got.bytes.subarray(12, got.ip)], [...sent.subarray(12, got.ip)]);
        assert.equal(got.bytes.length, got.tcp + 24);
      }
    }
  });

  it('agrees to ECN beside a timestamp, which remembers it, and not without one', () => {
    const with1 = answer({ options: linux, flags: ['syn', 'ece', 'cwr'] });
    assert.equal(with1?.bytes[with1.tcp + 13], 0x52);
    const view = new DataView(with1!.options.buffer, with1!.options.byteOffset);
    assert.equal(view.getUint32(8), EVEN + 1);
    for (const flags of [
      ['syn', 'ece'],
      ['syn', 'cwr'],
    ] as const) {
      const half = answer({ options: linux, flags });
      assert.equal(half?.bytes[half.tcp + 13], 0x12);
    }
    const without = answer({ options: mss(1460), flags: ['syn', 'ece', 'cwr'] });
    assert.equal(without?.bytes[without.tcp + 13], 0x12);
  });

  it('leaves data of a SYN unacknowledged, which the client sends again', () => {
    const got = answer({ options: concat(linux, fastOpen(new Uint8Array(6))), data: 1000 });
    assert.ok(got);
    assert.equal(new DataView(got.bytes.buffer, got.bytes.byteOffset).getUint32(got.tcp + 8), 0xffffffff);
    assert.equal(got.bytes.length, got.tcp + 40);
  });

  it('tells an MSS that fits through the tunnel to the owner, key and all', () => {
    const mssTold = (syn: Syn): number => {
      const got = answer({ ...syn, options: mss(9000) });
      return (got!.options[2] << 8) | got!.options[3];
    };
    assert.equal(mssTold({ owner: { address: '10.1.0.11', mtu: 1500 } }), 1436);
    assert.equal(mssTold({ owner: { address: '10.1.0.11', mtu: 1500 }, secondChance: true }), 1432);
    assert.equal(mssTold({ owner: { address: 'fd00::11', mtu: 1500 } }), 1416);
    assert.equal(mssTold({ family: 6, owner: { address: '10.1.0.11', mtu: 1500 } }), 1416);
    assert.equal(mssTold({ family: 6, owner: { address: 'fd00::11', mtu: 1500 }, secondChance: true }), 1392);
  });

  it('has a cookie for the slot’s owner, by its underlay address, tagged or not', () => {
    for (const address of ['10.1.0.11', '10.1.0.12', '2001:db8:1::11', '2001:db8:2::12']) {
      for (const vlan of [undefined, 9]) {
        const got = answer({ options: linux, owner: { address, ...(vlan && { vlan }) } });
        const view = new DataView(got!.bytes.buffer, got!.bytes.byteOffset);
        assert.equal(
          view.getUint32(got!.tcp + 4),
          cookieFor(4, address, cookieOptions(1460, 1, 10, 4)),
          address,
        );
      }
    }
  });

  it('is not given where no cookie can do: MD5, AO, more options than any system has, a damaged header, a source that is none', () => {
    const refused: Record<string, Syn> = {
      MD5: { options: concat(mss(1460), md5()) },
      'TCP-AO': { options: concat(mss(1460), authentication()) },
      '17 options': { options: nop(17) },
      'a header that ends early': { options: mss(1460), dataOffsetWords: 4 },
      'a header longer than the packet': { options: mss(1460), dataOffsetWords: 7 },
      'a group’s MAC address': { options: mss(1460), l2: { src: '03:00:00:00:00:02' } },
      'port 0': { options: mss(1460), sport: 0 },
    };
    for (const [name, syn] of Object.entries(refused)) assert.equal(answer(syn), undefined, name);
    assert.ok(answer({ options: nop(16) }), '16 options');
  });
});
