/** Captures of other links than Ethernet: their packets come as frames, and what is no packet of a known link is skipped and counted. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import fc from 'fast-check';
import { readCaptureFrom } from '#anyhop/packet/capture.js';
import { FRAME_BYTES_MAX } from '#anyhop/packet/link-type.js';
import { isInstalled } from '../isolation.js';
import { frame, ipv4, ipv6, payload, udp } from './build.js';
import { type Packet, pcapFile, pcapngSection } from './capture-bytes.js';

const directory = mkdtempSync(join(tmpdir(), 'anyhop-link-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const HEADER = [0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02];
const big16 = (value: number): number[] => [value >> 8, value & 0xff];

interface LinkForm {
  readonly linkType: number;
  /** What stands before a packet of an EtherType. */
  readonly head: (type: number) => number[];
}

const LINKS: Record<string, LinkForm> = {
  'raw IP': { linkType: 101, head: () => [] },
  'raw IP as some systems number it': { linkType: 12, head: () => [] },
  'BSD loopback of a little-endian machine': {
    linkType: 0,
    head: (type) => [type === 0x0800 ? 2 : 30, 0, 0, 0],
  },
  'BSD loopback of a big-endian machine': {
    linkType: 0,
    head: (type) => [0, 0, 0, type === 0x0800 ? 2 : 24],
  },
  'OpenBSD loopback': { linkType: 108, head: (type) => [0, 0, 0, type === 0x0800 ? 2 : 24] },
  'Linux cooked': {
    linkType: 113,
    head: (type) => [0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, ...big16(type)],
  },
  'Linux cooked, version 2': {
    linkType: 276,
    head: (type) => [...big16(type), 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0],
  },
};

const packet = fc.record({ type: fc.constantFrom(0x0800, 0x86dd), rest: fc.uint8Array({ maxLength: 200 }) });
const first = (type: number): number => (type === 0x0800 ? 0x45 : 0x60);
const kind = fc.constantFrom(...Object.values(LINKS));

function* chunks(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

function read(bytes: Uint8Array, size = 65536) {
  const pieces = chunks(bytes, size);
  let left = new Uint8Array(0);
  const skipped: number[] = [];
  const source = (target: Uint8Array): number => {
    if (left.length === 0) left = Uint8Array.from(pieces.next().value ?? []);
    const part = left.subarray(0, target.length);
    target.set(part);
    left = left.subarray(part.length);
    return part.length;
  };
  const packets = Array.from(
    readCaptureFrom(source, 'test', (link) => skipped.push(link)),
    (each) => ({ ...each, frame: Uint8Array.from(each.frame) }),
  );
  return { packets, skipped };
}

test('packets of every known link come as Ethernet frames with made-up addresses, in either format', () => {
  const file = fc.record({ link: kind, list: fc.array(packet, { maxLength: 6 }), isPcapng: fc.boolean() });
  fc.assert(
    fc.property(file, fc.integer({ min: 1, max: 100 }), ({ link, list, isPcapng }, size) => {
      const records = list.map(({ type, rest }): Packet => {
        const bytes = Uint8Array.of(...link.head(type), first(type), ...rest);
        return { frame: bytes, timestampNs: 0n, originalLength: bytes.length + 5 };
      });
      const { linkType } = link;
      const bytes = isPcapng
        ? pcapngSection({ little: true, block: 'enhanced', linkType }, records)
        : pcapFile({ little: true, nanoseconds: true, linkType }, records);
      const expected = list.map(({ type, rest }, i) => {
        const made = Uint8Array.of(...HEADER, ...big16(type), first(type), ...rest);
        return {
          number: i + 1,
          frame: made,
          timestampNs: 0n,
          originalLength: made.length + 5,
          truncated: true,
        };
      });
      assert.deepEqual(read(bytes, size), { packets: expected, skipped: [] });
    }),
  );
});

test('packets of an interface of another link are skipped and counted, and the others keep their numbers', () => {
  const links = [1, 105, 113, 192];
  const on = fc.array(fc.nat(links.length - 1), { maxLength: 30 });
  fc.assert(
    fc.property(on, fc.boolean(), (ports, little) => {
      const records = ports.map((_, i) => ({
        frame: new Uint8Array(40 + i),
        timestampNs: 0n,
        originalLength: 40 + i,
      }));
      const file = pcapngSection(
        { little, block: 'enhanced', moreLinks: links.slice(1), on: ports },
        records,
      );
      const { packets, skipped } = read(file);
      const isKnown = (port: number): boolean => port === 0 || port === 2;
      assert.deepEqual(
        packets.map(({ number }) => number),
        ports.flatMap((port, i) => (isKnown(port) ? i + 1 : [])),
      );
      assert.deepEqual(
        skipped,
        ports.filter((port) => !isKnown(port)).map((port) => links[port]),
      );
    }),
  );
});

test('a packet of another link is skipped whatever its length, and one of a known link has a bound', () => {
  const ofLength = (length: number): Packet => ({
    frame: new Uint8Array(length),
    timestampNs: 0n,
    originalLength: length,
  });
  const file = (on: readonly number[]): Uint8Array =>
    pcapngSection({ little: true, block: 'enhanced', moreLinks: [189], on: [...on] }, [
      ofLength(300_000),
      ofLength(60),
    ]);
  const { packets, skipped } = read(file([1, 0]));
  assert.deepEqual(
    packets.map(({ number }) => number),
    [2],
  );
  assert.deepEqual(skipped, [189]);
  assert.throws(() => read(file([0, 0])), /a packet of 300000 bytes in a block with room for 262144/);
});

test('a record that is shorter than the header of its link is an empty frame, whatever its bytes', () => {
  fc.assert(
    fc.property(kind, fc.uint8Array({ maxLength: 25 }), ({ linkType, head }, bytes) => {
      const file = pcapFile({ little: true, nanoseconds: true, linkType }, [
        { frame: bytes, timestampNs: 0n, originalLength: bytes.length },
      ]);
      const [{ frame: made }] = read(file).packets;
      const header = head(0x0800).length;
      assert.equal(made.length, bytes.length < header ? 0 : 14 + bytes.length - header);
    }),
  );
});

test('the longest record is cut rather than made longer than a frame can be', () => {
  const longest = {
    frame: new Uint8Array(FRAME_BYTES_MAX).fill(0x45),
    timestampNs: 0n,
    originalLength: FRAME_BYTES_MAX,
  };
  const [made] = read(pcapFile({ little: true, nanoseconds: true, linkType: 101 }, [longest])).packets;
  assert.deepEqual([made.frame.length, made.truncated], [FRAME_BYTES_MAX, true]);
});

test('a section that describes interfaces without end is refused, not kept', () => {
  const file = pcapngSection({ little: true, block: 'enhanced', moreLinks: Array(70_000).fill(1) }, []);
  assert.throws(() => read(file), /more than 65536 interfaces in a section/);
});

test('a tunnel packet that tshark makes Linux cooked or raw IP is the same packet here', {
  skip: !isInstalled('text2pcap') && 'needs text2pcap',
}, () => {
  const inner = [
    frame({}, ipv4({ src: '198.51.100.7', dst: '203.0.113.10' }), udp({ sport: 9, dport: 53 }), payload(30)),
    frame(
      {},
      ipv6({ src: '2001:db8::7', dst: '2001:db8:100::10' }),
      udp({ sport: 9, dport: 53 }),
      payload(30),
    ),
  ].map((whole) => whole.subarray(14));
  const dump = inner
    .map((bytes) => `000000 ${Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join(' ')}\n`)
    .join('\n');
  const path = join(directory, 'packets.txt');
  writeFileSync(path, dump);
  const out = join(directory, 'raw.pcapng');
  execFileSync('text2pcap', ['-q', '-l', '101', path, out], { stdio: 'pipe' });
  const bytes = execFileSync('cat', [out]);
  assert.deepEqual(
    read(bytes).packets.map(({ frame: made }) => Buffer.from(made.subarray(14)).toString('hex')),
    inner.map((each) => Buffer.from(each).toString('hex')),
  );
});
