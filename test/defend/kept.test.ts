/** What a node keeps of floods over a restart, as a file: read back as it was written, and refused when a stranger wrote it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type KeptDefence, readKept, writeKept } from '#anyhop/defend/kept.js';

const KEPT: KeptDefence = {
  watch: {
    norms: { web: { perSecond: 812.5, learntMs: 600_000 }, 'web-6': { perSecond: 0, learntMs: 1000 } },
    attacks: [
      { service: 'web', kind: 'syn_flood', mode: 'enforce', sinceMs: 1.7e12, peak: 60_000.5, packets: 7e6 },
    ],
  },
  takers: [{ address: '10.1.0.11', keys: ['00112233445566aa'], apartMs: -120 }],
};

describe('the file of what is known of floods', () => {
  it('is read as it was written', () => assert.deepEqual(readKept(writeKept(KEPT)), KEPT));

  it('is refused as a whole when anything in it is of another form', () => {
    const text = writeKept(KEPT);
    for (const [from, to] of [
      ['"version":1', '"version":2'],
      ['812.5', '-1'],
      ['812.5', '1e400'],
      ['600000', '600001'],
      ['"web-6"', '"web 6"'],
      ['syn_flood', 'plague'],
      ['10.1.0.11', '10.1.0.011'],
      ['00112233445566aa', '00112233445566AA'],
      ['"takers":', '"more":1,"takers":'],
      [text, ''],
      [text, '[]'],
    ] as const) {
      assert.ok(text.includes(from), from);
      assert.throws(() => readKept(text.replace(from, to)), Error, `${from} -> ${to}`);
    }
  });
});
