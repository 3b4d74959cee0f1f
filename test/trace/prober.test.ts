/** Probes over sockets that the test plays: whose answer is whose, what is reset, and what nobody may make up. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseAddress } from '#anyhop/packet/address.js';
import { P } from '#anyhop/packet/constants.js';
import { composeTcp, readTcp, type TcpSegment } from '#anyhop/packet/tcp.js';
import { type Outer, readOuter } from '#anyhop/trace/outer.js';
import { type Probe, Prober } from '#anyhop/trace/prober.js';
import { decodePacket } from '../packets/decode.js';

const address = (text: string) => parseAddress(text)!;
const CLIENT = address('10.0.0.1');
const VIP = { address: address('203.0.113.10'), port: 80 };
const OUTER: Outer = readOuter(
  Buffer.from(`4500000000004000402f00000a0000010a01000b20080800020083014500${'00'.repeat(20)}`, 'hex'),
)!;

interface Sent extends TcpSegment {
  readonly payload: number;
}

function setUp() {
  const sent: Sent[] = [];
  const takers = new Map<number, (packet: Buffer, source: string) => void>();
  let refusal: string | undefined;
  const prober = new Prober(
    {
      openSender: () => ({
        send(packet, offset, length, to) {
          if (refusal !== undefined) return refusal;
          const outer = decodePacket(Uint8Array.from(packet.subarray(offset, offset + length)));
          assert.ok(outer.transport?.kind === 'gre');
          assert.equal(outer.dst, to);
          const inner = decodePacket(outer.transport.inner);
          assert.deepEqual([inner.src, inner.dst], [CLIENT.text, VIP.address.text]);
          const at = P.IPV4_HEADER;
          sent.push({ ...readTcp(inner.bytes, at)!, payload: inner.bytes.length - at - P.TCP_HEADER });
          return undefined;
        },
        close() {},
      }),
      openReceiver(family, protocol, _filter, take) {
        assert.equal(family, 4);
        takers.set(protocol, take);
        return { close: () => void takers.delete(protocol) };
      },
    },
    CLIENT,
  );
  const hear = (from: string, port: number, change: Partial<TcpSegment>): void => {
    const segment = { sequence: 4711, acknowledgment: 0, flags: 0, ...change };
    const source = { address: address(from), port: change.sourcePort ?? VIP.port };
    takers.get(P.PROTOCOL_TCP)?.(Buffer.from(composeTcp(source, { address: CLIENT, port }, segment)), from);
  };
  const probe = (more: Partial<Probe> = {}) =>
    prober.send({ outer: OUTER, vip: VIP, protocol: 'tcp', waitMs: 60_000, ...more });
  return {
    sent,
    prober,
    hear,
    probe,
    takers,
    refuse: (why: string) => {
      refusal = why;
    },
  };
}

const SYN_ACK = P.TCP_SYN | P.TCP_ACK;

describe('a probe', () => {
  it('is answered by the SYN-ACK that acknowledges it, and its connection is reset through the tunnel', async () => {
    const { sent, hear, probe } = setUp();
    const reply = probe({ padding: 100 });
    const [{ sourcePort, sequence, payload }] = sent;
    assert.equal(payload, 100);
    const acknowledgment = (sequence + 1) >>> 0;
    // Another VIP, another port, another number: whoever does not see the SYN cannot answer it.
    hear('203.0.113.11', sourcePort, { flags: SYN_ACK, acknowledgment });
    hear(VIP.address.text, sourcePort, { flags: SYN_ACK, acknowledgment, sourcePort: 81 });
    hear(VIP.address.text, sourcePort, { flags: SYN_ACK, acknowledgment: sequence });
    hear(VIP.address.text, sourcePort ^ 1, { flags: SYN_ACK, acknowledgment });
    assert.equal(sent.length, 1);
    hear(VIP.address.text, sourcePort, { flags: SYN_ACK, acknowledgment });
    const answer = await reply;
    assert.ok(answer.kind === 'answer' && answer.flags === SYN_ACK && answer.ttl === 64);
    assert.equal(sent.length, 2);
    assert.deepEqual([sent[1]!.flags, sent[1]!.sequence], [P.TCP_RST, acknowledgment]);
    hear(VIP.address.text, sourcePort, { flags: SYN_ACK, acknowledgment });
    assert.equal(sent.length, 2, 'it is over');
  });

  it('of no connection is answered by the RST that has the number which it acknowledged', async () => {
    const { sent, hear, probe } = setUp();
    const reply = probe({ flags: P.TCP_ACK });
    const [{ sourcePort, acknowledgment }] = sent;
    hear(VIP.address.text, sourcePort, { flags: P.TCP_RST, sequence: acknowledgment ^ 1 });
    hear(VIP.address.text, sourcePort, { flags: P.TCP_RST, sequence: acknowledgment });
    const answer = await reply;
    assert.ok(answer.kind === 'answer' && answer.flags === P.TCP_RST);
    assert.equal(sent.length, 1, 'there is nothing to reset');
  });

  it('that the kernel does not send, or that nobody answers, says so', async () => {
    const { probe, refuse, sent } = setUp();
    assert.deepEqual(await probe({ waitMs: 20, againMs: 5 }), { kind: 'silence' });
    const [first, again, reset, ...more] = sent;
    assert.deepEqual(more, []);
    assert.deepEqual([first!.sequence, first!.sourcePort], [again!.sequence, again!.sourcePort]);
    // The server may have answered, by a way on which nothing arrives.
    assert.deepEqual(
      [reset!.flags, reset!.sequence, reset!.sourcePort],
      [P.TCP_RST, (first!.sequence + 1) >>> 0, first!.sourcePort],
    );
    refuse('Message too long');
    assert.deepEqual(await probe(), { kind: 'unsent', why: 'Message too long', isTooLong: true });
  });

  it('outlives whatever comes, and remembers a bounded number of errors', async () => {
    const { prober, probe, takers } = setUp();
    const reply = probe({ waitMs: 200 });
    const about = Buffer.from('4500002800004000400600000a0000010a01000bee4800500000000000000000', 'hex');
    const error = Buffer.concat([
      Buffer.from('4500004400004000400100000a0000fe0a0000010b000000', 'hex'),
      Buffer.alloc(4),
      about,
    ]);
    for (let i = 0; i < 1_000; i++) takers.get(P.PROTOCOL_ICMP)!(error, '10.0.0.254');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        for (const take of takers.values()) take(Buffer.from(bytes), '203.0.113.10');
      }),
    );
    assert.equal(prober.errorsAbout(address('10.1.0.11')).length <= 256, true);
    assert.ok(prober.errorsAbout(address('10.1.0.11')).length > 0);
    assert.equal((await reply).kind, 'silence');
    prober.close();
    assert.equal(takers.size, 0);
  });
});
