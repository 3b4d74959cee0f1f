/** `anyhop replay` where a slip of the hand could cost a capture. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { linkSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readCapture } from '#anyhop/packet/capture.js';
import { type Packet, pcapFile, pcapngSection } from '../packets/capture-bytes.js';
import { MIXED_CONFIG, writeMixedCapture } from '../packets/mixed.js';

const main = fileURLToPath(import.meta.resolve('#anyhop/main.js'));
const directory = mkdtempSync(join(tmpdir(), 'anyhop-replay-'));
after(() => rmSync(directory, { recursive: true, force: true }));

test('a capture is not overwritten by its own replay, under another name of it either', () => {
  const [config, capture, alias] = ['config.yaml', 'in.pcap', 'alias.pcap'].map((name) =>
    join(directory, name),
  );
  writeFileSync(config!, MIXED_CONFIG);
  writeMixedCapture(capture!);
  linkSync(capture!, alias!);
  const before = readFileSync(capture!);
  for (const output of [capture!, alias!]) {
    const argv = [main, 'replay', '-c', config!, capture!, output];
    const { status, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    assert.equal(status, 2, stderr);
    assert.match(stderr, /is both input and output/);
    assert.deepEqual(readFileSync(capture!), before);
  }
});

test('an output is left alone when the input cannot be read', () => {
  const [config, output, junk] = ['config.yaml', 'kept.pcap', 'junk.pcap'].map((name) =>
    join(directory, name),
  );
  writeFileSync(config!, MIXED_CONFIG);
  writeFileSync(output!, 'what was there before');
  writeFileSync(junk!, 'no capture');
  for (const input of [join(directory, 'missing.pcap'), junk!]) {
    const argv = [main, 'replay', '-c', config!, input, output!];
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /no such file|neither a pcap nor a pcapng file/);
    assert.equal(readFileSync(output!, 'utf8'), 'what was there before');
  }
});

test('a capture of "any" ends in the verdicts of the same packets on Ethernet, and other links are skipped and counted', () => {
  const at = (name: string): string => join(directory, name);
  writeFileSync(at('config.yaml'), MIXED_CONFIG);
  writeMixedCapture(at('mixed.pcap'));
  // Untagged, for the node's own address: what a cooked capture can tell of a frame.
  const own = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const isIp = (frame: Uint8Array): boolean =>
    frame.length >= 14 &&
    own.every((byte, i) => frame[i] === byte) &&
    [0x0800, 0x86dd].includes((frame[12] << 8) | frame[13]);
  const frames = Array.from(readCapture(at('mixed.pcap')), ({ frame }) => Uint8Array.from(frame)).filter(
    isIp,
  );
  const recorded = (frame: Uint8Array): Packet => ({ frame, timestampNs: 0n, originalLength: frame.length });
  writeFileSync(at('ethernet.pcap'), pcapFile({ little: true, nanoseconds: true }, frames.map(recorded)));
  const cooked = frames.map((frame) =>
    Uint8Array.of(0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, ...frame.subarray(12)),
  );
  const wifi = new Uint8Array(60);
  // An interface for both, and packets of the second one first, in the middle and last.
  const middle = cooked.length >> 1;
  const all = [wifi, ...cooked.slice(0, middle), wifi, ...cooked.slice(middle), wifi];
  const on = all.map((bytes) => (bytes === wifi ? 1 : 0));
  const form = { little: true, block: 'enhanced', linkType: 113, moreLinks: [105], on } as const;
  writeFileSync(at('any.pcapng'), pcapngSection(form, all.map(recorded)));

  const replay = (input: string) => {
    const argv = [main, 'replay', '-c', at('config.yaml'), '--verdicts', at(input), at(`${input}.out`)];
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    const lines = stdout.trimEnd().split('\n');
    return {
      counts: JSON.parse(lines.at(-1)!),
      numbers: lines.slice(0, -1).map((line) => Number.parseInt(line, 10)),
      stderr,
    };
  };
  const [ethernet, any] = [replay('ethernet.pcap'), replay('any.pcapng')];
  assert.ok(ethernet.counts.sent > 10);
  assert.deepEqual(any.counts, { ...ethernet.counts, skipped: 3 });
  assert.deepEqual(readFileSync(at('any.pcapng.out')).length, readFileSync(at('ethernet.pcap.out')).length);
  assert.match(any.stderr, /^anyhop: packets .* were skipped: 3 of link type 105; known are Ethernet/);
  // As Wireshark numbers them.
  const expected = on.flatMap((port, i) => (port === 0 ? [i + 1] : []));
  assert.deepEqual(any.numbers, expected);
});
