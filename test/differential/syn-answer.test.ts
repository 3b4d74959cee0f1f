/** Answers to SYNs in C: the bytes that TypeScript sends, for any options, sound and damaged, any frame, any owner, at any time. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import { PacketState } from '#anyhop/forward/packet-state.js';
import { answerSyn, canAnswerSyn } from '#anyhop/forward/syn-answer.js';
import { devLibrary } from '../../scripts/native/object.js';
import { imageOf, VIP4, VIP6 } from '../forward/fixture.js';
import { concat, frame, ipv4, ipv6, payload, tcp, tcpOption } from '../packets/build.js';
import { Random, seedOfRun } from './random.js';

const SYNS = 20_000;
/** Bytes of a struct anyhop_dev_syn. */
const CASE_BYTES = 32;

const IMAGE = imageOf({
  pools: {
    web: [
      { address: '10.1.0.11', cookies: true, mtu: 1500 },
      { address: '10.1.0.12', cookies: true, vlan: 5, mtu: 1400 },
      { address: '2001:db8:1::13', cookies: true },
      { address: '2001:db8:2::14', cookies: true, vlan: 7, mtu: 1500 },
      { address: '10.1.0.15' },
    ],
  },
  services: [
    { vip: VIP4, protocol: 'tcp', port: 80 },
    { vip: VIP6, protocol: 'tcp', port: 80, secondChance: true },
  ],
  cookieKey: Uint8Array.from({ length: 16 }, (_, i) => 255 - i),
});
const BACKENDS = 5;
const NO_COOKIES = 4;

/** Options as real systems lay them out, as none does, and as no option can be. */
function anyOptions(random: Random): Uint8Array {
  const size = random.pick([536, 1300, 1380, 1400, 1452, 1460, 8960, random.below(65536)]);
  const { nop, mss, sackPermitted, windowScale, timestamps, end, fastOpen, multipath, md5, authentication } =
    tcpOption;
  const stamp = (): Uint8Array => timestamps(random.below(2 ** 32), random.below(2 ** 32));
  const scale = (): Uint8Array => windowScale(random.pick([0, 7, 8, 14, 15, random.byte()]));
  const usual = (): Uint8Array[][] => [
    [],
    [mss(size)],
    [mss(size), sackPermitted(), stamp(), nop(), scale()],
    [mss(size), nop(), scale(), sackPermitted(), stamp()],
    [mss(size), nop(), scale(), nop(2), stamp(), sackPermitted(), end(2)],
    [mss(size), nop(), scale(), nop(2), sackPermitted()],
  ];
  const any = (): Uint8Array =>
    random.pick([
      mss(size),
      sackPermitted(),
      scale(),
      stamp(),
      nop(1 + random.below(3)),
      random.below(6) === 0 ? end() : nop(),
      random.below(3) === 0 ? fastOpen(new Uint8Array(random.pick([0, 4, 8]))) : nop(),
      random.below(3) === 0 ? multipath() : sackPermitted(),
      random.below(6) === 0 ? random.pick([md5(), authentication()]) : stamp(),
      Uint8Array.of(random.byte(), random.below(12), random.byte()),
    ]);
  let parts = random.below(3) > 0 ? random.pick(usual()) : Array.from({ length: random.below(6) }, any);
  while (concat(...parts).length > 40) parts = parts.slice(1);
  const options = Uint8Array.from(concat(...parts));
  if (options.length > 0 && random.below(5) === 0) options[random.below(options.length)] = random.byte();
  return options;
}

function anySyn(random: Random): { bytes: Uint8Array; family: 4 | 6; l2: number } {
  const family = random.pick([4, 6] as const);
  const tags = random.below(3);
  const flags = random.pick([['syn'], ['syn', 'ece', 'cwr'], ['syn', 'cwr'], ['syn', 'psh', 'urg']] as const);
  const segment = tcp({
    sport: random.below(20) === 0 ? 0 : random.below(65536),
    dport: 80,
    flags,
    sequence: random.pick([0, 2 ** 32 - 1, random.below(2 ** 32)]),
    options: anyOptions(random),
    ...(random.below(20) === 0 && { dataOffsetWords: random.below(16) }),
  });
  const ip =
    family === 4
      ? ipv4({
          src: `198.51.${random.byte()}.${random.byte()}`,
          dst: VIP4,
          ...(random.below(20) === 0 && { checksum: random.below(65536) }),
        })
      : ipv6({ src: `2001:db8:c::${random.below(65536).toString(16)}`, dst: VIP6 });
  const src = random.below(20) === 0 ? '03:00:00:00:00:02' : '02:00:00:00:00:02';
  const l2 = {
    vlans: Array.from({ length: tags }, () => random.below(4096)),
    src,
    padTo: random.pick([0, 60, 100]),
  };
  const data = random.below(6) === 0 ? random.below(1200) : 0;
  return { bytes: frame(l2, ip, segment, payload(data)), family, l2: 14 + 4 * tags };
}

/** What TypeScript answers; empty for nothing. */
function answer(
  p: PacketState,
  { bytes, family, l2 }: ReturnType<typeof anySyn>,
  backend: number,
): Uint8Array {
  const memory = new Uint8Array(L.HEADROOM + bytes.length);
  memory.set(bytes, L.HEADROOM);
  const view = new DataView(memory.buffer);
  p.frame = L.HEADROOM;
  p.l3 = L.HEADROOM + l2;
  p.end = p.l3 + (family === 4 ? view.getUint16(p.l3 + 2) : 40 + view.getUint16(p.l3 + 4));
  p.family = family;
  p.backend = backend;
  const l4 = p.l3 + (family === 4 ? 20 : 40);
  if (backend === NO_COOKIES || !canAnswerSyn(p, view, l4)) return new Uint8Array(0);
  answerSyn(p, view, l4, family === 6);
  assert.ok(p.outLength <= p.end - p.frame + 4, 'never more than 4 bytes longer');
  return memory.slice(p.outStart, p.outStart + p.outLength);
}

it('the answer to a SYN in C is TypeScript’s, byte for byte, and both refuse the same ones', () => {
  const seed = seedOfRun();
  const random = new Random(seed);
  const syns = Array.from({ length: SYNS }, () => anySyn(random));
  const cases = Buffer.alloc(SYNS * CASE_BYTES);
  const p = new PacketState(IMAGE);
  const wants: Uint8Array[] = [];
  for (const [i, syn] of syns.entries()) {
    const fleetMs = random.pick([
      0,
      1,
      16383,
      16384,
      2 ** 32 - 1,
      2 ** 32,
      200_000_000_000 + random.below(2 ** 31),
    ]);
    const backend = random.below(BACKENDS);
    const service = syn.family === 4 ? 0 : 1;
    const at = i * CASE_BYTES;
    cases.writeBigUInt64LE(BigInt(fleetMs), at);
    const words = [syn.bytes.length, syn.l2, syn.family, service, backend];
    for (const [word, value] of words.entries()) cases.writeUInt32LE(value, at + 8 + word * 4);
    p.fleetMs = fleetMs;
    wants.push(answer(p, syn, backend));
  }
  const lengths = Buffer.alloc(SYNS * 4);
  const out = Buffer.alloc(SYNS * 128);
  const image = Buffer.from(IMAGE.bytes);
  const frames = Buffer.concat(syns.map(({ bytes }) => bytes));
  devLibrary.call(
    'ERR_NATIVE',
    'anyhop_dev_answer_syns',
    image,
    image.length,
    cases,
    frames,
    SYNS,
    lengths,
    out,
  );
  let start = 0;
  let answered = 0;
  for (const [i, want] of wants.entries()) {
    const length = lengths.readUInt32LE(i * 4);
    const got = out.subarray(start, start + length);
    const message = `ANYHOP_SEED=${seed}, SYN ${i}: ${Buffer.from(syns[i].bytes).toString('hex')}`;
    assert.equal(got.toString('hex'), Buffer.from(want).toString('hex'), message);
    start += length;
    answered += length > 0 ? 1 : 0;
  }
  assert.ok(
    answered > SYNS / 3 && answered < SYNS * 0.9,
    `${answered} of ${SYNS} answered; ANYHOP_SEED=${seed}`,
  );
});
