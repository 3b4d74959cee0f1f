/** What a capture writes, read back by a reader that knows nothing of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { captureText } from '#anyhop/capture/describe.js';
import { endBlocks, packetBlocks, startBlocks } from '#anyhop/capture/pcapng-blocks.js';
import { L } from '#anyhop/core/layout.gen.js';
import { readCaptureFrom } from '#anyhop/packet/capture.js';
import { isInstalled } from '../isolation.js';
import { frame, ipv4, payload, tcp } from '../packets/build.js';
import { NAMES, recordOf } from './names.js';

const FILE = { source: 'node edge-1', interface: 'eth0', snapLength: 128, filter: 'vip 203.0.113.10' };
const TOTALS = { startNs: 1n, endNs: 2n, packets: 1, sent: 1, lost: 3 };

function read(bytes: Uint8Array): { frame: string; timestampNs: bigint; length: number }[] {
  let at = 0;
  const source = (target: Uint8Array): number => {
    const part = bytes.subarray(at, at + target.length);
    target.set(part);
    at += part.length;
    return part.length;
  };
  return [...readCaptureFrom(source, 'test')].map(({ frame: found, timestampNs, originalLength }) => ({
    frame: Buffer.from(found).toString('hex'),
    timestampNs,
    length: originalLength,
  }));
}

describe('a capture file', () => {
  it('has each packet before and after, cut to the snap length, at its nanosecond', () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    const one = fc.record({
      before: bytes,
      after: bytes,
      ns: fc.bigInt({ min: 0n, max: 4_000_000_000_000_000_000n }),
      comment: fc.string(),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 10 }), (packets) => {
        const blocks = packets.map(({ before, after, ns, comment }) =>
          packetBlocks(
            recordOf(before, { outBytes: after, outLength: after.length }),
            ns,
            comment,
            FILE.snapLength,
          ),
        );
        const expected = packets.flatMap(({ before, after, ns }) =>
          [before, ...(after.length > 0 ? [after] : [])].map((each) => ({
            frame: Buffer.from(each.subarray(0, FILE.snapLength)).toString('hex'),
            timestampNs: ns,
            length: each.length,
          })),
        );
        assert.deepEqual(read(Buffer.concat([startBlocks(FILE), ...blocks, endBlocks(TOTALS)])), expected);
      }),
      { numRuns: 200 },
    );
  });

  it('shows tshark interfaces, ids, directions, comments and time', {
    skip: !isInstalled('tshark') && 'needs tshark',
  }, () => {
    const before = frame(
      {},
      ipv4({ src: '198.51.100.7', dst: '203.0.113.10' }),
      tcp({ sport: 4000, dport: 80 }),
      payload(20),
    );
    const forwarded = recordOf(before, {
      id: (3n << 48n) | 17n,
      verdict: L.V_FORWARDED,
      service: 0,
      backend: 1,
      slot: 123,
      key: (11 << 15) | 21,
      outBytes: before,
      outLength: before.length,
    });
    const dropped = recordOf(before, { id: 18n });
    const text = captureText(NAMES, 'forwarder');
    const ns = 1_700_000_000_123_456_789n;
    const directory = mkdtempSync(join(tmpdir(), 'ah-pcapng-'));
    try {
      const path = join(directory, 'x.pcapng');
      const packets = [forwarded, dropped].map((record) =>
        packetBlocks(record, ns, text.comment(record), 128),
      );
      writeFileSync(path, Buffer.concat([startBlocks(FILE), ...packets, endBlocks(TOTALS)]));
      const fields = [
        'frame.interface_name',
        'frame.packet_id',
        'frame.packet_flags_direction',
        'frame.time_epoch',
        'frame.comment',
      ];
      const { stdout, stderr } = spawnSync(
        'tshark',
        ['-r', path, '-T', 'fields', ...fields.flatMap((each) => ['-e', each])],
        {
          encoding: 'utf8',
          timeout: 30_000,
        },
      );
      const rows = stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t'));
      const became = 'forwarded web slot 123 -> web-2 (alternates web-1, ns-1) generation 7';
      const why = 'drop_no_service generation 7: for a VIP, but for none of its services';
      const id = String((3n << 48n) | 17n);
      assert.deepEqual(
        rows.map(([name, packetId, direction, , comment]) => [
          name,
          BigInt(packetId).toString(),
          Number(direction),
          comment,
        ]),
        [
          ['eth0 in', id, 1, became],
          ['eth0 out', id, 2, became],
          ['eth0 in', '18', 1, why],
        ],
        stderr,
      );
      assert.ok(rows.every(([, , , time]) => time === '1700000000.123456789'));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('describes what it cannot name by its number', () => {
    const text = captureText(NAMES, 'forwarder');
    const record = recordOf(new Uint8Array(0), {
      verdict: 250,
      service: 99,
      backend: 99,
      slot: 1,
      key: (77 << 15) | 0,
    });
    assert.equal(
      text.comment(record),
      'verdict 250 service 99 slot 1 -> backend 99 (alternate id 77) generation 7',
    );
    assert.match(text.line(record, 0n), / a frame without IP, 0 -> verdict 250/);
  });
});
