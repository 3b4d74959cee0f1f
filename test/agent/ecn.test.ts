/** RFC 6040 figure 4: all sixteen combinations of outer and inner ECN, for both inner families. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { BpfObject } from '#anyhop/ffi/bpf.js';
import { frame, gre, payload, tcp } from '../packets/build.js';
import { decodeFrame } from '../packets/decode.js';
import { inner4, inner6, judge, loadAgent, outer4, outer6, refuses, SKIP } from './fixture.js';

const NOT = 0;
const ECT1 = 1;
const ECT0 = 2;
const CE = 3;
const NAMES = ['Not-ECT', 'ECT(1)', 'ECT(0)', 'CE'];

/** The figure, row by row: the inner field, then what it becomes below each outer one. */
const FIGURE_4: readonly (readonly [inner: number, becomes: Record<number, number | 'drop'>])[] = [
  [NOT, { [NOT]: NOT, [ECT0]: NOT, [ECT1]: NOT, [CE]: 'drop' }],
  [ECT0, { [NOT]: ECT0, [ECT0]: ECT0, [ECT1]: ECT1, [CE]: CE }],
  [ECT1, { [NOT]: ECT1, [ECT0]: ECT1, [ECT1]: ECT1, [CE]: CE }],
  [CE, { [NOT]: CE, [ECT0]: CE, [ECT1]: CE, [CE]: CE }],
];

describe('ECN on the way out of the tunnel', { skip: SKIP }, () => {
  let agent: BpfObject;
  before(() => {
    agent = loadAgent();
  });
  after(() => agent.close());

  for (const [inner, row] of FIGURE_4) {
    for (const outer of [NOT, ECT0, ECT1, CE]) {
      const expected = row[outer];
      const outcome = expected === 'drop' ? 'is dropped' : `becomes ${NAMES[expected]}`;
      test(`inner ${NAMES[inner]} under outer ${NAMES[outer]} ${outcome}`, () => {
        for (const dscp of [0, 46]) {
          const segment = tcp({ sport: 40000, dport: 80 });
          const field = { tos: dscp * 4 + inner, trafficClass: dscp * 4 + inner };
          // Several identifications: the checksum's update must carry right for each.
          const inners = [
            inner6(field),
            ...[0, 1, 0x7fff, 0xfffe, 0xffff].map((id) => inner4({ ...field, id })),
          ];
          for (const packetInside of inners) {
            for (const outside of [outer4({ tos: outer }), outer6({ trafficClass: 0xb8 + outer })]) {
              const bytes = frame({}, outside, gre(), packetInside, segment, payload(20));
              if (expected === 'drop') {
                refuses(agent, bytes, 'drop_ecn');
                continue;
              }
              const judged = judge(agent, bytes);
              assert.equal(judged.verdict, 'delivered');
              // The decoder verifies the checksums.
              const decoded = decodeFrame(judged.frame).packet;
              assert.deepEqual([decoded?.ecn, decoded?.dscp], [expected, dscp]);
            }
          }
        }
      });
    }
  }
});
