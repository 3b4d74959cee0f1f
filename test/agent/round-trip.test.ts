/**
 * Forwarder and agent agree: what the pipeline wraps for a backend, the agent there unwraps, and what comes out is the
 * client's packet with one hop less. Right frames and damaged ones, both underlay families.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { imageOf, Runner } from '../forward/fixture.js';
import { frameTo, mutated } from '../packets/arbitrary.js';
import {
  authentication,
  destinationOptions,
  fragment,
  frame as frameWith,
  icmpv6Error,
  ipv6,
  type Layer,
  packet,
  payload,
  routing,
  tcp,
  udp,
} from '../packets/build.js';
import { CLIENT6, judge, loadAgent, SKIP, VIP, VIP6 } from './fixture.js';

const SERVICES = [VIP, VIP6].flatMap((vip) => [
  { vip, protocol: 'tcp', port: 80 } as const,
  { vip, protocol: 'udp', port: 53 } as const,
]);
const onItsWay = routing({ type: 4, segmentsLeft: 1, addresses: ['2001:db8::1'] });
const first = fragment({ more: true });
/** Extension headers as they may be quoted, where they are judged by nobody: on their way, or behind a fragment's header. */
const quotedChains = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 5 }).map((units) => destinationOptions({ length: units * 8 })),
    fc.constantFrom(routing(), onItsWay, authentication(), fragment(), first, fragment({ offset: 9 })),
  ),
  { maxLength: 9 },
);
/** An error about what the VIP sent to the client. */
const quoting = (chain: readonly Layer[], transport: Layer, quoteBytes = 1000): Uint8Array => {
  const about = packet(ipv6({ src: VIP6, dst: CLIENT6 }), ...chain, transport, payload(60));
  return frameWith(
    {},
    ipv6({ src: '2001:db8:9::1', dst: VIP6 }),
    icmpv6Error({ type: 2, mtu: 1400, about, quoteBytes }),
  );
};
const TARGETS = { vips: [VIP, VIP6], ports: [80, 53], vlansMax: 2 };

describe('what a forwarder wraps, the agent delivers', { skip: SKIP }, () => {
  let agent: BpfObject;
  before(() => {
    agent = loadAgent();
  });
  after(() => agent?.close());

  for (const address of ['10.1.0.11', 'fd00:1::11']) {
    const forwarder = new Runner(imageOf({ pools: { web: [{ address }] }, services: SERVICES }));
    /** Whether the forwarder wraps the frame; the agent then delivers what is inside. */
    const goesThrough = (frame: Uint8Array): boolean => {
      const { action, out } = forwarder.run(frame);
      if (action !== 'forward' || out === undefined) return false;
      const judged = judge(agent, out);
      assert.match(judged.verdict, /^delivered/);
      const outer = address.includes(':') ? 40 : 20;
      assert.deepEqual(new Uint8Array(judged.frame.subarray(14)), out.subarray(14 + outer + 4));
      return true;
    };

    test(`errors that quote a packet on its way or a fragment with options, to ${address}`, () => {
      const chains = [
        [onItsWay],
        [first, destinationOptions()],
        [first, authentication()],
        [onItsWay, first],
      ];
      for (const chain of chains)
        for (const transport of [tcp({ sport: 80, dport: 4 }), udp({ sport: 53, dport: 4 })])
          assert.ok(goesThrough(quoting(chain, transport)), 'forwarded');
    });

    test(`errors that quote whatever extension headers, cut wherever, to ${address}`, () => {
      let delivered = 0;
      fc.assert(
        fc.property(
          quotedChains,
          fc.constantFrom(80, 22),
          fc.integer({ min: 40, max: 400 }),
          (chain, sport, bytes) => {
            if (goesThrough(quoting(chain, tcp({ sport, dport: 4 }), bytes))) delivered++;
          },
        ),
        { numRuns: 1000 },
      );
      assert.ok(delivered > 100, `only ${delivered} frames were forwarded`);
    });

    for (const [name, frames] of [
      ['right frames', frameTo(TARGETS).map(({ frame }) => frame)],
      ['damaged frames', mutated(frameTo(TARGETS).map(({ frame }) => frame))],
    ] as const) {
      test(`${name}, to ${address}`, () => {
        let delivered = 0;
        fc.assert(
          fc.property(frames, (frame) => {
            if (goesThrough(frame)) delivered++;
          }),
          { numRuns: 1500 },
        );
        assert.ok(delivered > 150, `only ${delivered} frames were forwarded`);
      });
    }
  }
});
