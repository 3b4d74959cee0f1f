/** The traffic generator: what arrives is what was asked for, sound to the last checksum, and no more than its limits. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readCapture } from '#anyhop/packet/capture.js';
import { inNamespace, run } from '../../scripts/lab/command.js';
import { createLink, LINK, type NodeLink } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { NODE_MAC, ROUTER_MAC } from '../packets/build.js';
import { decodeFrame } from '../packets/decode.js';

const TRAFFIC = fileURLToPath(new URL('../../scripts/traffic.js', import.meta.url));
const PACKETS = 2000;
const READY_MS = 10_000;
const CLIENTS = 'src net 20.0.0.0/8 or src net 2001:db8:c11e::/48';

const traffic = (link: NodeLink, ...args: string[]): Promise<string> =>
  link.onPeer(process.execPath, TRAFFIC, '--interface', LINK, '--mac', NODE_MAC, '--json', ...args);

describe('the traffic generator', { skip: missingForIsolation('tcpdump', 'ethtool') }, () => {
  test('makes IPv4 and IPv6, TCP, UDP and echo requests, SYNs and ACKs of the sizes asked for, all with right checksums', async () => {
    const link = await createLink();
    try {
      const file = join(link.resources.directory, 'traffic.pcap');
      // As root it would change to a user that may not write here.
      const options = [
        '-n',
        '-U',
        '--immediate-mode',
        '-Z',
        'root',
        '-B',
        '16384',
        '-c',
        String(PACKETS),
        '-w',
        file,
      ];
      const argv = ['tcpdump', '-i', LINK, ...options, CLIENTS];
      const tcpdump = await link.resources.startProcess('tcpdump', link.node, argv);
      await tcpdump.waitForLine((line) => line.includes('listening on'), 'capture', READY_MS);
      const to = [
        'tcp:203.0.113.10:80',
        'udp:203.0.113.10:53',
        'tcp:[2001:db8:100::10]:80',
        'udp:[2001:db8:100::10]:53',
        'icmp:203.0.113.10',
        'icmp:[2001:db8:100::10]',
      ];
      const kinds = ['--sizes', '64,128,1518', '--syn', '25', '--flows', '1024', '--rate', '20000'];
      const limits = ['--count', String(PACKETS), '--seconds', '5'];
      const made = JSON.parse(
        await traffic(link, ...to.flatMap((target) => ['--to', target]), ...kinds, ...limits),
      );
      await tcpdump.exited;
      assert.equal(made.packets, PACKETS);
      // It never makes more than asked for; a busy machine makes it make less.
      assert.ok(made.rate < 22_000, `${made.rate} packets a second`);

      const flows = new Map<string, string>();
      const seen: Record<string, number> = {};
      const count = (what: string): void => {
        seen[what] = (seen[what] ?? 0) + 1;
      };
      for (const { frame } of readCapture(file)) {
        const decoded = decodeFrame(frame);
        assert.equal(decoded.dst, NODE_MAC);
        assert.equal(decoded.src, ROUTER_MAC);
        const { version, src, dst, transport } = decoded.packet!;
        assert.equal(dst, version === 4 ? '203.0.113.10' : '2001:db8:100::10');
        count(`${transport!.kind} ${version}`);
        count(`${frame.length + 4} bytes`);
        const client = src.split(/[.:]/).slice(-2).join();
        if (transport?.kind === 'tcp' || transport?.kind === 'udp') {
          assert.equal(transport.dport, transport.kind === 'tcp' ? 80 : 53);
          flows.set(`${transport.sport} ${client}`, `${transport.kind} ${version}`);
        } else {
          assert.ok(transport?.kind === 'icmp' || transport?.kind === 'icmpv6');
          assert.equal(transport.type, version === 4 ? 8 : 128);
          flows.set(`${transport.word >>> 16} ${client}`, `${transport.kind} ${version}`);
        }
        if (transport.kind === 'tcp') count(transport.flags.includes('syn') ? 'syn' : 'ack');
      }
      assert.equal(flows.size, 1024);
      const { syn, ack } = seen;
      assert.ok(syn / (syn + ack) > 0.2 && syn / (syn + ack) < 0.3, `${syn} SYNs, ${ack} ACKs`);
      for (const kind of ['tcp 4', 'udp 4', 'icmp 4', 'tcp 6', 'udp 6', 'icmpv6 6']) {
        assert.ok(seen[kind] > PACKETS / 9 && seen[kind] < PACKETS / 4, `${kind}: ${seen[kind]}`);
      }
      // IPv6 has no 64-byte packets: its shortest have 84.
      assert.deepEqual(
        Object.keys(seen)
          .filter((kind) => kind.endsWith(' bytes'))
          .sort(),
        ['128 bytes', '1518 bytes', '64 bytes', '84 bytes'],
      );
    } finally {
      await link.resources.close();
    }
  });

  test('spoofs: sources, ports and numbers that are random, options of real systems, all with right checksums', async () => {
    const link = await createLink();
    try {
      const file = join(link.resources.directory, 'spoofed.pcap');
      const options = ['-n', '-U', '--immediate-mode', '-Z', 'root', '-B', '16384', '-c', String(PACKETS)];
      const argv = [
        'tcpdump',
        '-i',
        LINK,
        ...options,
        '-w',
        file,
        'src net 20.0.0.0/8 or net 2001:db8:c100::/40',
      ];
      const tcpdump = await link.resources.startProcess('tcpdump', link.node, argv);
      await tcpdump.waitForLine((line) => line.includes('listening on'), 'capture', READY_MS);
      const to = [
        'tcp:203.0.113.10:80',
        'tcp:[2001:db8:100::10]:80',
        'udp:203.0.113.10:53',
        'udp:[2001:db8:100::10]:53',
      ];
      const kinds = ['--spoofed', '--pulses', '--syn', '75', '--rate', '4000'];
      const limits = ['--count', String(PACKETS), '--seconds', '5'];
      const made = JSON.parse(
        await traffic(link, ...to.flatMap((target) => ['--to', target]), ...kinds, ...limits),
      );
      await tcpdump.exited;
      assert.equal(made.packets, PACKETS);
      const sources = new Set<string>();
      const sequences = new Set<number>();
      const lengths = new Set<string>();
      let acks = 0;
      for (const { frame } of readCapture(file)) {
        const { version, src, transport } = decodeFrame(frame).packet!;
        sources.add(src);
        if (transport?.kind !== 'tcp') continue;
        sequences.add(Buffer.from(frame).readUInt32BE(version === 4 ? 38 : 58));
        if (!transport.flags.includes('syn')) acks += 1;
        else lengths.add(`${version} ${frame.length}`);
      }
      assert.ok(sources.size > PACKETS * 0.99, `${sources.size} sources`);
      assert.ok(acks > PACKETS / 16 && acks < PACKETS / 4, `${acks} ACKs`);
      assert.ok(sequences.size > PACKETS * 0.48, `${sequences.size} sequence numbers`);
      // Without options, and with those of Windows, Linux and macOS.
      assert.deepEqual([...lengths].sort(), ['4 60', '4 66', '4 74', '4 78', '6 80', '6 86', '6 94', '6 98']);
    } finally {
      await link.resources.close();
    }
  });

  test('stops at the time limit when the packets take longer', async () => {
    const link = await createLink();
    try {
      const limits = ['--count', '1e9', '--seconds', '0.5', '--rate', '1e5'];
      const made = JSON.parse(await traffic(link, '--to', 'tcp:203.0.113.10:80', ...limits));
      assert.ok(made.packets > 10_000 && made.packets <= 50_000, `${made.packets} packets`);
      const [{ stats64 }] = JSON.parse(
        await run(inNamespace(link.node, ['ip', '-json', '-stats', 'link', 'show', LINK])),
      );
      assert.ok(stats64.rx.packets >= made.packets, 'the far end got them all');
    } finally {
      await link.resources.close();
    }
  });

  test('refuses to start without both limits, and says which options it needs', async () => {
    const link = await createLink();
    try {
      await assert.rejects(
        traffic(link, '--to', 'tcp:203.0.113.10:80', '--count', '1'),
        /exit code 2\n.*--seconds/,
      );
    } finally {
      await link.resources.close();
    }
  });
});
