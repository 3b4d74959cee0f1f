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
import { judge, loadAgent, SKIP, VIP, VIP6 } from './fixture.js';

const SERVICES = [VIP, VIP6].flatMap((vip) => [
  { vip, protocol: 'tcp', port: 80 } as const,
  { vip, protocol: 'udp', port: 53 } as const,
]);
const TARGETS = { vips: [VIP, VIP6], ports: [80, 53], vlansMax: 2 };

describe('what a forwarder wraps, the agent delivers', { skip: SKIP }, () => {
  let agent: BpfObject;
  before(() => {
    agent = loadAgent();
  });
  after(() => agent?.close());

  for (const address of ['10.1.0.11', 'fd00:1::11']) {
    const forwarder = new Runner(imageOf({ pools: { web: [{ address }] }, services: SERVICES }));
    for (const [name, frames] of [
      ['right frames', frameTo(TARGETS).map(({ frame }) => frame)],
      ['damaged frames', mutated(frameTo(TARGETS).map(({ frame }) => frame))],
    ] as const) {
      test(`${name}, to ${address}`, () => {
        let delivered = 0;
        fc.assert(
          fc.property(frames, (frame) => {
            const { action, out } = forwarder.run(frame);
            if (action !== 'forward' || out === undefined) return;
            const judged = judge(agent, out);
            assert.match(judged.verdict, /^delivered/);
            const outer = address.includes(':') ? 40 : 20;
            assert.deepEqual(new Uint8Array(judged.frame.subarray(14)), out.subarray(14 + outer + 4));
            delivered++;
          }),
          { numRuns: 1500 },
        );
        assert.ok(delivered > 150, `only ${delivered} frames were forwarded`);
      });
    }
  }
});
