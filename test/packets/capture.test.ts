/** Capture files: every form reads back, other programs agree, and damage ends in one clear error. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { AnyhopError } from '#anyhop/core/errors.js';
import type { ByteSource } from '#anyhop/packet/byte-reader.js';
import { type CapturedPacket, CaptureWriter, readCapture, readCaptureFrom } from '#anyhop/packet/capture.js';
import { isInstalled } from '../isolation.js';
import { mutated } from './arbitrary.js';
import { concat, frame, ipv4, payload, udp } from './build.js';
import { type Packet, type PcapngForm, pcapFile, pcapngSection } from './capture-bytes.js';

const directory = mkdtempSync(join(tmpdir(), 'anyhop-capture-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const missing = (tool: string): string | false => !isInstalled(tool) && `needs ${tool}`;

/** Serves `bytes` at most `chunk` at a time, as a pipe would. */
function sourceOf(bytes: Uint8Array, chunk = 65536): ByteSource {
  let at = 0;
  return (target) => {
    const part = bytes.subarray(at, at + Math.min(chunk, target.length));
    target.set(part);
    at += part.length;
    return part.length;
  };
}

function read(bytes: Uint8Array, chunk?: number): Packet[] {
  return Array.from(readCaptureFrom(sourceOf(bytes, chunk), 'test'), copy);
}

function copy({ frame, timestampNs, originalLength }: CapturedPacket): Packet {
  return { frame: Uint8Array.from(frame), timestampNs, originalLength };
}

/** What was read before the error, and the error. */
function readUntilError(
  bytes: Uint8Array,
  chunk?: number,
): { packets: Packet[]; error: AnyhopError | undefined } {
  const packets: Packet[] = [];
  try {
    for (const packet of readCaptureFrom(sourceOf(bytes, chunk), 'test')) packets.push(copy(packet));
  } catch (error) {
    assert.ok(error instanceof AnyhopError, String(error));
    assert.equal(error.code, 'ERR_CAPTURE_FILE');
    return { packets, error };
  }
  return { packets, error: undefined };
}

const packetArbitrary: fc.Arbitrary<Packet> = fc
  .record({
    frame: fc.uint8Array({ maxLength: 300 }),
    // Whole microseconds, which every form but the coarse ones holds.
    timestampNs: fc.bigInt({ min: 0n, max: 2n ** 32n * 1_000_000n - 1n }).map((us) => us * 1000n),
    cut: fc.oneof(fc.constant(0), fc.nat(2000)),
  })
  .map(({ frame, timestampNs, cut }) => ({ frame, timestampNs, originalLength: frame.length + cut }));
const packets = fc.array(packetArbitrary, { maxLength: 12 });
const chunk = fc.integer({ min: 1, max: 400 });

test('pcap files of both byte orders and both resolutions read back, in pieces of any size', () => {
  const form = fc.record({ little: fc.boolean(), nanoseconds: fc.boolean() });
  fc.assert(
    fc.property(form, packets, chunk, (f, list, size) => {
      assert.deepEqual(read(pcapFile(f, list), size), list);
    }),
  );
});

const pcapngForm: fc.Arbitrary<PcapngForm> = fc
  .record({
    little: fc.boolean(),
    block: fc.constantFrom<PcapngForm['block']>('enhanced', 'obsolete'),
    resolution: fc.constantFrom(undefined, 6, 9),
    offset: fc.constantFrom(undefined, 0n, -1_000_000n, 3600n),
    strangers: fc.boolean(),
  })
  .map(({ resolution, offset, ...form }) => ({
    ...form,
    ...(resolution === undefined ? {} : { resolution }),
    ...(offset === undefined ? {} : { offset }),
  }));
/** Stamps that stay positive under the negative offset, and fit 64 bits of nanoseconds under the positive one. */
const later = packets.map((list) =>
  list.map((p) => ({ ...p, timestampNs: (p.timestampNs % 10n ** 18n) + 10n ** 16n })),
);

test('pcapng files of joined sections in any form read back, in pieces of any size', () => {
  const parts = fc.array(fc.tuple(pcapngForm, later), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(parts, chunk, (sections, size) => {
      const file = concat(...sections.map(([form, list]) => pcapngSection(form, list)));
      assert.deepEqual(
        read(file, size),
        sections.flatMap(([, list]) => list),
      );
    }),
  );
});

test('simple packet blocks give the frame, cut at the snap length, and no time', () => {
  const whole = frame(
    {},
    ipv4({ src: '10.0.0.1', dst: '10.0.0.2' }),
    udp({ sport: 1, dport: 2 }),
    payload(100),
  );
  const list = [
    { frame: whole.subarray(0, 64), timestampNs: 0n, originalLength: whole.length },
    { frame: whole.subarray(0, 50), timestampNs: 0n, originalLength: 50 },
  ];
  for (const little of [true, false]) {
    assert.deepEqual(read(pcapngSection({ little, block: 'simple', snapLength: 64 }, list)), list);
  }
});

test('a resolution of 2^-10 seconds and one of picoseconds are turned into nanoseconds', () => {
  const list = [{ frame: Uint8Array.of(1, 2, 3), timestampNs: 1_500_000_000n, originalLength: 3 }];
  for (const resolution of [0x8a, 12]) {
    assert.deepEqual(read(pcapngSection({ little: true, block: 'enhanced', resolution }, list)), list);
  }
});

test('what was cut by the capturer is flagged', () => {
  const list = [
    { frame: new Uint8Array(60), timestampNs: 0n, originalLength: 1500 },
    { frame: new Uint8Array(60), timestampNs: 0n, originalLength: 60 },
  ];
  const file = pcapFile({ little: true, nanoseconds: false }, list);
  const flags = Array.from(readCaptureFrom(sourceOf(file), 'test'), (p) => p.truncated);
  assert.deepEqual(flags, [true, false]);
});

test('a damaged file gives whole packets and then an error with its code, whatever the size of the pieces', () => {
  const file = fc.oneof(
    fc
      .tuple(fc.boolean(), fc.boolean(), packets)
      .map(([little, nanoseconds, list]) => pcapFile({ little, nanoseconds }, list)),
    fc.tuple(pcapngForm, later).map(([form, list]) => pcapngSection(form, list)),
  );
  fc.assert(
    fc.property(mutated(file), chunk, (bytes, size) => {
      const inPieces = readUntilError(bytes, size);
      const atOnce = readUntilError(bytes);
      assert.deepEqual(inPieces.packets, atOnce.packets);
      assert.equal(inPieces.error?.message, atOnce.error?.message);
    }),
    { numRuns: 1000 },
  );
});

test('random bytes behind the magic numbers never do anything but read or fail with the code', () => {
  const magic = fc.constantFrom(
    pcapFile({ little: true, nanoseconds: true }, []),
    pcapFile({ little: false, nanoseconds: false }, []),
    pcapngSection({ little: true, block: 'enhanced' }, []),
    pcapngSection({ little: false, block: 'enhanced' }, []),
    new Uint8Array(0),
  );
  // Small words make plausible types and lengths.
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 2, 3, 6, 12, 16, 32), { maxLength: 300 })
      .map((list) => Uint8Array.from(list)),
  );
  fc.assert(
    fc.property(magic, noise, (start, rest) => {
      readUntilError(concat(start, rest));
    }),
    { numRuns: 1000 },
  );
});

test('a file cut anywhere gives the packets before the cut and the byte where the cut record starts', () => {
  const list = [10, 20, 30].map((length) => ({
    frame: new Uint8Array(length),
    timestampNs: 0n,
    originalLength: length,
  }));
  const file = pcapFile({ little: true, nanoseconds: true }, list);
  const starts = [24, 24 + 26, 24 + 26 + 36, file.length];
  for (let cut = 24; cut <= file.length; cut++) {
    const whole = starts.filter((start) => start <= cut).length - 1;
    const { packets: got, error } = readUntilError(file.subarray(0, cut));
    assert.equal(got.length, whole, `cut at ${cut}`);
    if (starts.includes(cut)) {
      assert.equal(error, undefined, `cut at ${cut}`);
    } else {
      const record = starts[whole];
      const place = cut - record < 16 ? record : record + 16;
      assert.match(error?.message ?? '', new RegExp(`^test: byte ${place}: the file is cut short`));
    }
  }
});

const refused: [name: string, sentence: RegExp, bytes: Uint8Array][] = [
  ['an empty file', /byte 0: the file is empty/, new Uint8Array(0)],
  ['text', /neither a pcap nor a pcapng/, new TextEncoder().encode('GET / HTTP/1.1')],
  ['gzip', /compressed/, Uint8Array.of(0x1f, 0x8b, 8, 0, 0)],
  [
    'a capture of another link type',
    /byte 20: link type 105; known are Ethernet \(1\), Linux cooked \(113, 276\)/,
    pcapFile({ little: true, nanoseconds: false, linkType: 105 }, []),
  ],
  [
    'a record longer than any packet',
    /byte 24: a record of 2147483647 bytes; at most 262144/,
    concat(
      pcapFile({ little: true, nanoseconds: false }, []),
      Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 127, 0, 0, 0, 0),
    ),
  ],
  [
    'a packet of an interface that was not described',
    /a packet of interface 0, and 0 were described/,
    pcapngSection({ little: true, block: 'enhanced', noInterface: true }, [
      { frame: new Uint8Array(4), timestampNs: 0n, originalLength: 4 },
    ]),
  ],
];
for (const [name, sentence, bytes] of refused) {
  test(`${name} is refused by name`, () => {
    const { error } = readUntilError(bytes);
    assert.match(error?.message ?? 'no error', sentence);
  });
}

test('a file that is not there, and a directory, are named in the error', () => {
  assert.throws(() => [...readCapture(join(directory, 'nothing'))], /nothing: there is no such file/);
  assert.throws(() => [...readCapture(directory)], /it is a directory/);
  assert.throws(() => new CaptureWriter(join(directory, 'no', 'such')), /there is no such file/);
});

const sample: Packet[] = Array.from({ length: 3000 }, (_, i) => {
  const bytes = frame(
    {},
    ipv4({ src: '10.0.0.1', dst: '10.0.0.2' }),
    udp({ sport: 9, dport: 9 }),
    payload(i % 1400),
  );
  return { frame: bytes, timestampNs: 1_700_000_000_123_456_789n + BigInt(i), originalLength: bytes.length };
});

function writeSample(name: string): string {
  const path = join(directory, name);
  const writer = new CaptureWriter(path);
  for (const { frame, timestampNs } of sample) writer.write(frame, timestampNs);
  writer.close();
  return path;
}

test('what the writer writes reads back to the nanosecond, over many buffers', () => {
  assert.deepEqual(Array.from(readCapture(writeSample('own.pcap')), copy), sample);
});

test('reading a quarter of a gigabyte takes no more memory than reading a little', () => {
  const header = pcapFile({ little: true, nanoseconds: true }, []);
  const record = pcapFile({ little: true, nanoseconds: true }, [
    { frame: new Uint8Array(1500), timestampNs: 0n, originalLength: 1500 },
  ]).subarray(header.length);
  let left = 180_000;
  let rest = header;
  const source: ByteSource = (target) => {
    if (rest.length === 0 && left-- > 0) rest = record;
    const part = rest.subarray(0, target.length);
    target.set(part);
    rest = rest.subarray(part.length);
    return part.length;
  };
  const before = process.memoryUsage().arrayBuffers;
  let highest = before;
  let count = 0;
  for (const _ of readCaptureFrom(source, 'endless')) {
    if (++count % 10_000 === 0) highest = Math.max(highest, process.memoryUsage().arrayBuffers);
  }
  assert.equal(count, 180_000);
  assert.ok(highest - before < 4 * 1024 * 1024, `${highest - before} bytes more`);
});

const inMicroseconds = sample.map((p) => ({ ...p, timestampNs: (p.timestampNs / 1000n) * 1000n }));
for (const [format, expected] of [
  ['pcap', inMicroseconds],
  ['nsecpcap', sample],
  ['pcapng', sample],
] as const) {
  test(`editcap reads what the writer writes, and its ${format} file reads back`, {
    skip: missing('editcap'),
  }, () => {
    const own = writeSample(`editcap-in-${format}.pcap`);
    const converted = join(directory, `editcap.${format}`);
    execFileSync('editcap', ['-F', format, own, converted], { stdio: 'ignore' });
    assert.deepEqual(Array.from(readCapture(converted), copy), expected);
  });
}

test("editcap's snap length is understood", { skip: missing('editcap') }, () => {
  const converted = join(directory, 'snapped.pcapng');
  execFileSync('editcap', ['-s', '60', '-F', 'pcapng', writeSample('to-snap.pcap'), converted], {
    stdio: 'ignore',
  });
  const lengths = Array.from(readCapture(converted), (p) => [p.frame.length, p.originalLength]);
  assert.deepEqual(
    lengths,
    sample.map(({ frame }) => [Math.min(60, frame.length), frame.length]),
  );
});

test('tcpdump reads what the writer writes, and its own file reads back', {
  skip: missing('tcpdump'),
}, () => {
  const own = writeSample('tcpdump-in.pcap');
  const converted = join(directory, 'tcpdump.pcap');
  execFileSync('tcpdump', ['-r', own, '-w', converted], { stdio: 'ignore' });
  assert.deepEqual(Array.from(readCapture(converted), copy), inMicroseconds);
});

test('a capture goes from standard input to standard output through pipes', () => {
  const program = join(directory, 'copy.mjs');
  const library = fileURLToPath(import.meta.resolve('#anyhop/packet/capture.js'));
  writeFileSync(
    program,
    `import { CaptureWriter, readCapture } from ${JSON.stringify(library)};
     const out = new CaptureWriter('-');
     for (const { frame, timestampNs } of readCapture('-')) out.write(frame, timestampNs);
     out.close();`,
  );
  const own = readFileSync(writeSample('pipe.pcap'));
  const result = spawnSync(process.execPath, [program], { input: own, maxBuffer: 64 * 1024 * 1024 });
  assert.equal(result.stderr.toString(), '');
  assert.ok(own.equals(result.stdout));
});
