/** Raw sockets of the kernel, on loopback: which packets reach the process, and that nobody reads what it does not want. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { answerFilter, isAnswer, NUMBER_BITS, SECRET_BITS } from '#anyhop/health/answer-filter.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { P } from '#anyhop/packet/constants.js';
import { composeTcp, readTcp, type TcpSegment } from '#anyhop/packet/tcp.js';
import { loadRawSockets } from '#anyhop/underlay/raw-socket.js';
import { createLink, LINK, NODE4, NODE6 } from '../engine/link.js';
import { missingForIsolation } from '../isolation.js';
import { icmpError, ipv4, packet, payload } from '../packets/build.js';

const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;
/** Ports that nobody else on this machine is likely to use now. */
const PORT_FIRST = 62_000;
const SOURCE_PORT = 7;
const SENDER = fileURLToPath(new URL('send-process.js', import.meta.url));
/** Of the link between the node and its peer. */
const PAIRS = [
  [NODE4, '10.0.0.2'],
  [NODE6, 'fd00::2'],
] as const;
const WAIT_MS = 10_000;
const skip = process.getuid?.() !== 0 && 'needs root';

/** Sums of what the raw sockets here have waiting in their queues; bytes. */
function waitingBytes(): number {
  return ['raw', 'raw6']
    .flatMap((file) => readFileSync(`/proc/self/net/${file}`, 'utf8').trimEnd().split('\n').slice(1))
    .reduce((sum, line) => sum + Number.parseInt(line.trim().split(/\s+/)[4].split(':')[1], 16), 0);
}

describe('a raw socket that sends', { skip: missingForIsolation('tc', 'ethtool') }, () => {
  it('is refused, with the reason, what a full queue or a link that is down cannot take, and survives it', async () => {
    const link = await createLink();
    const send = async (from: string, to: string): Promise<Record<string, number>> =>
      JSON.parse(await link.onNode(process.execPath, SENDER, '200', from, to));
    try {
      for (const [from, to] of PAIRS) assert.deepEqual(await send(from, to), {});
      // Room for some 60 packets, and hardly any that leaves.
      const tbf = 'tbf rate 8kbit burst 1540 limit 1540';
      await link.onNode('tc', 'qdisc', 'add', 'dev', LINK, 'root', ...tbf.split(' '));
      for (const [from, to] of PAIRS) {
        const refusals = await send(from, to);
        assert.deepEqual(Object.keys(refusals), ['No buffer space available']);
        assert.ok(refusals['No buffer space available'] > 50, JSON.stringify(refusals));
      }
      await link.onNode('ip', 'link', 'set', LINK, 'down');
      for (const [from, to] of PAIRS)
        assert.deepEqual(await send(from, to), { 'Network is unreachable': 200 });
    } finally {
      await link.resources.close();
    }
  });
});

describe('a raw socket that sends to this host', { skip }, () => {
  it('loses no packet to a forged ICMP error about one that was never sent', async () => {
    const sender = (await loadRawSockets('this test needs')).openSender(4);
    const addresses = { src: '127.0.0.1', dst: '127.0.0.1' };
    const about = packet(ipv4({ ...addresses, protocol: 255 }), payload(8));
    const forged = Buffer.from(packet(ipv4(addresses), icmpError({ type: 3, code: 2, about })));
    try {
      for (let i = 0; i < 100; i++)
        assert.equal(sender.send(forged, 0, forged.length, '127.0.0.1'), undefined);
    } finally {
      sender.close();
    }
  });
});

describe('a raw socket for answers to checks', { skip }, () => {
  for (const family of [4, 6] as const) {
    it(`gets the SYN-ACKs and RSTs that acknowledge a SYN of this process, and nothing else, over IPv${family}`, async () => {
      const raw = await loadRawSockets('this test needs');
      const secret = randomInt(0, 2 ** SECRET_BITS);
      const ours = fc
        .integer({ min: 0, max: 2 ** NUMBER_BITS - 1 })
        .map((each) => secret * 2 ** NUMBER_BITS + each);
      const others = fc.integer({ min: 0, max: 2 ** 32 - 1 });
      const segment = fc.record({
        destinationPort: fc.constantFrom(PORT_FIRST - 1, PORT_FIRST, PORT_FIRST + 1, 65_535),
        acknowledged: fc.oneof(ours, ours, others),
        sequence: others,
        flags: fc.constantFrom(
          ...[P.TCP_SYN, P.TCP_RST, P.TCP_ACK, P.TCP_SYN | P.TCP_ACK, P.TCP_RST | P.TCP_ACK, 0xff, 0],
        ),
      });
      const [segments] = fc.sample(fc.array(segment, { minLength: 400, maxLength: 400 }), 1);
      const sent = segments.map(
        ({ acknowledged, ...rest }): TcpSegment => ({
          sourcePort: SOURCE_PORT,
          acknowledgment: (acknowledged + 1) >>> 0,
          ...rest,
        }),
      );
      const expected = sent.filter(
        (each) =>
          isAnswer(each) &&
          each.destinationPort >= PORT_FIRST &&
          (each.acknowledgment - 1) >>> NUMBER_BITS === secret,
      );
      assert.ok(expected.length > 20 && expected.length < sent.length - 20, `${expected.length} answers`);

      const taken: TcpSegment[] = [];
      const filter = answerFilter(family, PORT_FIRST, secret);
      const receiver = raw.openReceiver(family, P.PROTOCOL_TCP, filter, (packet, source) => {
        assert.equal(source, LOOPBACK[family]);
        const read = readTcp(packet, family === 4 ? (packet[0] & 15) * 4 : 0)!;
        if (read.sourcePort === SOURCE_PORT) taken.push(read);
      });
      const sender = raw.openSender(family);
      try {
        const address = parseAddress(LOOPBACK[family])!;
        for (const each of sent) {
          const source = { address, port: each.sourcePort };
          const packet = Buffer.from(composeTcp(source, { address, port: each.destinationPort }, each));
          assert.equal(sender.send(packet, 0, packet.length, address.text), undefined);
        }
        const deadlineMs = Date.now() + WAIT_MS;
        while (taken.length < expected.length && Date.now() < deadlineMs) await delay(5);
        assert.deepEqual(taken, expected);
      } finally {
        receiver.close();
        sender.close();
      }
    });
  }

  it('that only sends keeps nothing of what is sent to it', async () => {
    const raw = await loadRawSockets('this test needs');
    const sender = raw.openSender(4);
    const before = waitingBytes();
    const packet = Buffer.from(
      composeTcp(
        { address: parseAddress('127.0.0.1')!, port: 1 },
        { address: parseAddress('127.0.0.1')!, port: 2 },
        { sequence: 0, acknowledgment: 0, flags: P.TCP_RST },
      ),
    );
    packet[9] = 255; // the socket's own protocol, IPPROTO_RAW; the kernel writes the checksum
    try {
      for (let i = 0; i < 100; i++)
        assert.equal(sender.send(packet, 0, packet.length, '127.0.0.1'), undefined);
      assert.equal(waitingBytes(), before);
    } finally {
      sender.close();
    }
  });
});
