/** Checks through the tunnel over sockets that the test plays: whose answer is whose, and what ends a connection. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Tunnel } from '#anyhop/health/tunnel.js';
import { TunnelProbe } from '#anyhop/health/tunnel-probe.js';
import { type IpAddress, parseAddress, parsePrefix } from '#anyhop/packet/address.js';
import { P } from '#anyhop/packet/constants.js';
import { composeTcp, readTcp, type TcpSegment } from '#anyhop/packet/tcp.js';
import { decodePacket } from '../packets/decode.js';

const CLIENTS = { 4: '10.0.0.1', 6: 'fd00::1' } as const;
const VIPS = { 4: '203.0.113.10', 6: '2001:db8::10' } as const;
const BACKENDS = { 4: '10.1.0.', 6: 'fd00:1::' } as const;
const address = (text: string): IpAddress => parseAddress(text)!;

interface Sent extends TcpSegment {
  readonly backend: string;
  readonly client: string;
  readonly vip: string;
}

/** A tunnel whose far end is the test. */
function setUp() {
  const sent: Sent[] = [];
  const takers = new Map<4 | 6, (packet: Buffer, source: string) => void>();
  let refusal: string | undefined;
  /** VIPs that are addresses of the node. */
  const isLocal = new Set<string>();
  const tunnel = new Tunnel(
    {
      openSender: () => ({
        send(packet, offset, length, to) {
          if (refusal !== undefined) return refusal;
          const outer = decodePacket(Uint8Array.from(packet.subarray(offset, offset + length)));
          assert.ok(outer.transport?.kind === 'gre');
          assert.equal(outer.dst, to);
          const inner = decodePacket(outer.transport.inner);
          const at = inner.bytes.length - inner.payload.length;
          sent.push({ backend: to, client: inner.src, vip: inner.dst, ...readTcp(inner.bytes, at)! });
          return undefined;
        },
        close() {},
      }),
      openReceiver(family, protocol, _filter, take) {
        assert.equal(protocol, P.PROTOCOL_TCP);
        takers.set(family, take);
        return { close: () => void takers.delete(family) };
      },
    },
    {
      source4: parsePrefix('10.0.0.0/28'),
      source6: parsePrefix('fd00::1'),
      interface: 'eth0',
      isLocal: ({ text }) => isLocal.has(text),
    },
    (family) => address(CLIENTS[family]),
  );
  /** What the host hears: raw IPv6 sockets see no IP header. */
  const hear = (from: string, to: string, segment: TcpSegment): void => {
    const { sourcePort, destinationPort } = segment;
    const source = { address: address(from), port: sourcePort };
    const packet = composeTcp(source, { address: address(to), port: destinationPort }, segment);
    const { family } = source.address;
    takers.get(family)?.(Buffer.from(family === 4 ? packet : packet.subarray(P.IPV6_HEADER)), from);
  };
  const answer = (syn: Sent, flags: number, change: Partial<TcpSegment & { vip: string }> = {}): void =>
    hear(change.vip ?? syn.vip, syn.client, {
      sourcePort: syn.destinationPort,
      destinationPort: syn.sourcePort,
      sequence: 4711,
      acknowledgment: (syn.sequence + 1) >>> 0,
      flags,
      ...change,
    });
  const probe = (backend: IpAddress, vips: readonly string[]) => {
    const results: string[] = [];
    const endpoints = vips.map((vip) => ({ vip: address(vip), port: 80 }));
    const made = new TunnelProbe(tunnel, backend, { kind: 'tunnel', endpoints }, (failure) => {
      results.push(failure ?? 'up');
    });
    return { made, results };
  };
  const refuse = (why: string): void => {
    refusal = why;
  };
  return { tunnel, sent, takers, answer, probe, refuse, isLocal };
}

const SYN_ACK = P.TCP_SYN | P.TCP_ACK;
const RST_ACK = P.TCP_RST | P.TCP_ACK;

describe('checks through the tunnel', () => {
  it('that run at once are told apart, in all mixes of families, in whatever order they are answered', () => {
    const plan = fc.record({
      outer: fc.constantFrom<4 | 6>(4, 6),
      inner: fc.constantFrom<4 | 6>(4, 6),
      outcome: fc.constantFrom('up', 'refused', 'silent'),
    });
    fc.assert(
      fc.property(
        fc.array(plan, { minLength: 1, maxLength: 20 }),
        fc.infiniteStream(fc.nat()),
        (plans, order) => {
          const { sent, answer, probe } = setUp();
          const probes = plans.map(({ outer, inner }, i) =>
            probe(address(`${BACKENDS[outer]}${i + 1}`), [VIPS[inner]]),
          );
          for (const { made } of probes) made.start();
          const syns = sent.splice(0);
          assert.deepEqual(
            syns.map(({ flags, backend, vip }) => [flags, backend, vip]),
            plans.map(({ outer, inner }, i) => [P.TCP_SYN, `${BACKENDS[outer]}${i + 1}`, VIPS[inner]]),
          );
          const left = plans.map((_, i) => i);
          while (left.length > 0) {
            const [i] = left.splice(order.next().value % left.length, 1);
            const { outcome } = plans[i];
            if (outcome === 'up') answer(syns[i], SYN_ACK);
            if (outcome === 'refused') answer(syns[i], RST_ACK);
          }
          for (const [i, { outcome, inner }] of plans.entries()) {
            const vip = inner === 4 ? `${VIPS[4]}:80` : `[${VIPS[6]}]:80`;
            const expected = { up: ['up'], refused: [`${vip} refuses connections`], silent: [] }[outcome];
            assert.deepEqual(probes[i].results, expected);
            if (outcome === 'silent')
              assert.equal(probes[i].made.cancel(), `no answer from ${vip} through the tunnel`);
          }
          // Each connection that was begun is ended, at the backend that began it, and no other.
          assert.deepEqual(
            sent
              .map(({ backend, flags, sequence, sourcePort }) => [backend, flags, sequence, sourcePort])
              .sort(),
            syns
              .filter((_, i) => plans[i].outcome === 'up')
              .map(({ backend, sequence, sourcePort }) => [
                backend,
                P.TCP_RST,
                (sequence + 1) >>> 0,
                sourcePort,
              ])
              .sort(),
          );
        },
      ),
    );
  });

  it('are good only when every VIP has answered', () => {
    const { sent, answer, probe } = setUp();
    const { made, results } = probe(address('10.1.0.11'), [VIPS[4], VIPS[6]]);
    made.start();
    answer(sent[0], SYN_ACK);
    assert.deepEqual(results, []);
    answer(sent[1], SYN_ACK);
    assert.deepEqual(results, ['up']);
    made.start();
    answer(sent.findLast(({ flags }) => flags === P.TCP_SYN)!, SYN_ACK);
    assert.equal(made.cancel(), `no answer from ${VIPS[4]}:80 through the tunnel`);
  });

  it('say so when the VIP is an IPv4 address of the node, which hears no answer from there then', () => {
    const { sent, answer, probe, isLocal } = setUp();
    for (const vip of [VIPS[4], VIPS[6]]) isLocal.add(vip);
    const { made } = probe(address('10.1.0.11'), [VIPS[4], VIPS[6]]);
    made.start();
    answer(sent[1], SYN_ACK);
    assert.equal(
      made.cancel(),
      `no answer from ${VIPS[4]}:80 through the tunnel: ${VIPS[4]} is an address of this host, whose kernel drops packets ` +
        `from there (ip route get ${VIPS[4]})`,
    );
    made.start();
    answer(sent.at(-2)!, SYN_ACK);
    assert.equal(made.cancel(), `no answer from [${VIPS[6]}]:80 through the tunnel`);
  });

  it('take no answer from another address, to or from another port, to another SYN, or that is no answer', () => {
    const { sent, answer, probe } = setUp();
    const { made, results } = probe(address('10.1.0.11'), [VIPS[4]]);
    made.start();
    const [syn] = sent;
    answer(syn, SYN_ACK, { vip: '203.0.113.11' });
    answer(syn, SYN_ACK, { sourcePort: 81 });
    answer(syn, SYN_ACK, { destinationPort: syn.sourcePort ^ 1 });
    answer(syn, SYN_ACK, { acknowledgment: syn.sequence });
    answer(syn, P.TCP_SYN);
    answer(syn, P.TCP_ACK);
    assert.deepEqual([results, sent.length], [[], 1]);
    answer(syn, SYN_ACK);
    assert.deepEqual([results, sent.length], [['up'], 2]);
  });

  it('end a connection that is begun too late, which is no result any more', () => {
    const { sent, answer, probe } = setUp();
    const { made, results } = probe(address('10.1.0.11'), [VIPS[4]]);
    made.start();
    made.cancel();
    answer(sent[0], SYN_ACK);
    assert.deepEqual(results, []);
    assert.deepEqual(
      sent.map(({ flags }) => flags),
      [P.TCP_SYN, P.TCP_RST],
    );
    made.start();
    answer(sent[0], SYN_ACK);
    assert.deepEqual([results, sent.length], [[], 3]);
    assert.notEqual(sent[2].sourcePort, sent[0].sourcePort);
  });

  it('fail when the kernel does not take the packet', () => {
    const { probe, refuse } = setUp();
    const { made, results } = probe(address('10.1.0.11'), [VIPS[4]]);
    refuse('Network is unreachable');
    made.start();
    assert.deepEqual(results, ['cannot be sent to: Network is unreachable']);
  });

  it('open no more sockets than families, and close them', () => {
    const { tunnel, takers, probe } = setUp();
    probe(address('10.1.0.11'), [VIPS[4]]);
    probe(address('10.1.0.12'), [VIPS[4], VIPS[6]]);
    assert.deepEqual([...takers.keys()], [4, 6]);
    tunnel.close();
    assert.equal(takers.size, 0);
  });

  it('are refused where the node has no address that a VIP could answer to', () => {
    const noSockets = () => assert.fail('a socket is opened');
    const tunnel = new Tunnel(
      { openSender: noSockets, openReceiver: noSockets },
      { interface: 'none0', source4: undefined, source6: undefined, isLocal: () => false },
    );
    assert.throws(() => tunnel.prepare(address('10.1.0.11'), address(VIPS[6])), {
      code: 'ERR_ADDRESS',
      message: 'health checks through the tunnel need an IPv6 address on none0',
    });
  });
});
