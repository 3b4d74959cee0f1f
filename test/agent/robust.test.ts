/** Whatever arrives: the program neither aborts nor miscounts, and delivers nothing that it should not. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { keyWord } from '#anyhop/packet/second-chance-key.js';
import {
  destinationOptions,
  frame,
  gre,
  icmpError,
  icmpv6Error,
  ipv4,
  ipv6,
  type Layer,
  packet,
  payload,
  tcp,
  udp,
} from '../packets/build.js';
import { decodeFrame } from '../packets/decode.js';
import {
  CLIENT,
  CLIENT6,
  inner4,
  inner6,
  judge,
  KEYS,
  loadAgent,
  outer4,
  outer6,
  SKIP,
  VIP,
  VIP6,
} from './fixture.js';

const web = tcp({ sport: 40000, dport: 80 });
const opening = tcp({ sport: 40000, dport: 80, flags: ['syn'] });
const about4 = packet(ipv4({ src: VIP, dst: CLIENT }), tcp({ sport: 80, dport: 40000 }));
const about6 = packet(ipv6({ src: VIP6, dst: CLIENT6 }), destinationOptions(), udp({ sport: 53, dport: 9 }));

const ids = (index: number, id1: number, id2: number): Layer =>
  gre({ key: keyWord(index, id1, id2), alternates: true });

/** Frames that are delivered or sent on, one of each kind. */
const GOOD = [
  frame({}, outer4(), gre(), inner4(), web, payload(10)),
  frame({ vlans: [10, 20] }, outer6(), gre({ key: 1 }), inner6(), opening, payload(10)),
  frame({ vlans: [10, 20] }, outer6(), gre({ key: KEYS.peer4 }), inner6(), web, payload(10)),
  frame({}, outer4(), gre({ key: KEYS.peer6 }), inner4(), icmpError({ type: 3, mtu: 1400, about: about4 })),
  frame({}, outer4(), ids(0, 12, 18), inner4(), web, payload(10)),
  frame({ vlans: [10] }, outer6(), ids(1, 11, 18), inner6(), web, payload(10)),
  frame({}, outer4({ tos: 3 }), gre(), inner4({ tos: 2 }), udp({ sport: 1, dport: 53 }), payload(10)),
  frame({}, outer6(), gre(), inner6(), destinationOptions({ length: 24 }), web),
  frame({}, outer4(), gre(), inner4(), icmpError({ type: 3, mtu: 1400, about: about4 })),
  frame({}, outer4(), gre(), inner6(), icmpv6Error({ type: 2, mtu: 1400, about: about6 })),
];

describe('the agent, whatever arrives,', { skip: SKIP }, () => {
  let agent: BpfObject;
  before(() => {
    agent = loadAgent();
  });
  after(() => agent.close());

  /** `judge` sees to it that exactly one counter rises, by one. */
  const sound = (bytes: Uint8Array): string => {
    const judged = judge(agent, bytes);
    const { verdict } = judged;
    const expected = verdict === 'sent_on' ? 'tx' : verdict.startsWith('drop_') ? 'drop' : 'pass';
    assert.equal(judged.action, expected, verdict);
    if (judged.verdict.startsWith('pass_')) assert.deepEqual(judged.frame, Buffer.from(bytes));
    return judged.verdict;
  };

  test('delivers or sends on no frame that is cut short, at whatever byte', () => {
    for (const bytes of GOOD) {
      assert.match(sound(bytes), /^delivered|^sent_on/);
      for (let length = 14; length < bytes.length; length++) {
        assert.doesNotMatch(
          sound(bytes.subarray(0, length)),
          /^delivered|^sent_on/,
          `cut to ${length} bytes`,
        );
      }
    }
  });

  test('counts each mutated frame once, and delivers only packets for a VIP', () => {
    const edit = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
    const mutated = fc
      .tuple(fc.constantFrom(...GOOD), fc.array(edit, { minLength: 1, maxLength: 4 }), fc.nat())
      .map(([good, edits, cut]) => {
        const bytes = Uint8Array.from(good);
        for (const { at, value } of edits) bytes[at % bytes.length] = value;
        return cut % 4 === 0 ? bytes.subarray(0, Math.max(14, cut % bytes.length)) : bytes;
      });
    fc.assert(
      fc.property(mutated, (bytes) => {
        const judged = judge(agent, bytes);
        if (!judged.verdict.startsWith('delivered')) return;
        const view = judged.frame;
        const isIpv4 = view.readUInt16BE(12) === 0x0800;
        const destination = isIpv4 ? view.subarray(30, 34) : view.subarray(38, 54);
        const vip = packet(isIpv4 ? ipv4({ src: VIP, dst: VIP }) : ipv6({ src: VIP6, dst: VIP6 }));
        assert.deepEqual(new Uint8Array(destination), vip.subarray(vip.length - destination.length));
      }),
      { numRuns: 3000 },
    );
  });

  test('counts each random frame once', () => {
    const random = fc.uint8Array({ minLength: 14, maxLength: 200 });
    const prefix = fc.constantFrom(new Uint8Array(0), ...GOOD.map((good) => good.subarray(0, 38)));
    fc.assert(
      fc.property(prefix, random, (head, tail) => {
        sound(Uint8Array.from([...head, ...tail]));
      }),
      { numRuns: 1500 },
    );
  });

  test('gives back the packet that was wrapped, whatever its payload', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.boolean(),
        fc.option(fc.nat(0xffffffff), { nil: undefined }),
        fc.integer({ min: 0, max: 1400 }),
        (six, outerSix, key, size) => {
          const inner = six ? inner6() : inner4();
          const tunnel = gre(key === undefined ? {} : { key });
          const transport = key === undefined ? web : opening;
          const judged = judge(
            agent,
            frame({}, outerSix ? outer6() : outer4(), tunnel, inner, transport, payload(size)),
          );
          assert.equal(judged.verdict, 'delivered');
          const decoded = decodeFrame(new Uint8Array(judged.frame));
          assert.deepEqual(decoded.packet?.bytes, packet(inner, transport, payload(size)));
        },
      ),
      { numRuns: 200 },
    );
  });
});
