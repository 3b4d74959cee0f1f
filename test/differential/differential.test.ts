/**
 * The C pipeline held to the TypeScript one, byte for byte and verdict for verdict: compiled for this machine and, where
 * there is root, as the BPF program. ANYHOP_SEED=n replays a run.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseConfig } from '#anyhop/config/load.js';
import { L, VERDICTS } from '#anyhop/core/layout.gen.js';
import { fixedPath } from '#anyhop/node/assemble.js';
import { readCapture } from '#anyhop/packet/capture.js';
import { sizesFor } from '../../scripts/native/forwarder.js';
import { assembleConfig } from '../node/assembled.js';
import { MIXED_CONFIG, mixedTraffic, writeMixedCapture } from '../packets/mixed.js';
import { MTU } from '../packets/mixed-config.js';
import { BpfSubject, HostSubject, type Subject, TypeScriptSubject } from './pipelines.js';
import { seedOfRun } from './random.js';
import { Frames, R, type Results, verdictName } from './record.js';
import { compareBatch, histogram, runDifferential, type Summary } from './run.js';

const PACKETS = 100_000;
const missingForBpf = process.getuid?.() !== 0 && 'needs root';
const WITH_BPF = missingForBpf === false;

/** The kernel's own: a driver without headroom. */
const NOT_A_CLIENTS_DOING = new Set(['drop_headroom']);
/** Of rules of defence, which few packets would reach by chance: each so often at least. */
const OF_RULES = /^drop_(blocked|source_rate|service_rate|syn_limited)$|^syn_cookie_answered$/;
const OF_RULES_MIN = 40;

describe('the pipelines', () => {
  const seed = seedOfRun();
  let summary: Summary | undefined;

  it(`${WITH_BPF ? 'in TypeScript, C and BPF' : 'in TypeScript and C'} give the same verdicts, bytes and counters`, () => {
    console.log(`differential: seed ${seed}`);
    summary = runDifferential({ seed, packets: PACKETS, withBpf: WITH_BPF });
    console.log(`differential: ${summary.packets} packets, seed ${seed}, 0 differences`);
    console.log(histogram(summary));
    assert.ok(summary.packets >= PACKETS);
    assert.ok(summary.nearlyRight > summary.packets / 2, 'most packets are right or nearly right');
    const { verdicts } = summary;
    const missing = VERDICTS.filter(({ name }, i) => verdicts[i] === 0 && !NOT_A_CLIENTS_DOING.has(name));
    assert.deepEqual(missing, [], 'every verdict that a client can cause occurs');
    const rare = VERDICTS.filter(({ name }, i) => OF_RULES.test(name) && verdicts[i] < OF_RULES_MIN);
    assert.deepEqual(rare, [], `every verdict of rules occurs ${OF_RULES_MIN} times`);
  });

  it('put every kind of packet that has a lane on it', () => {
    assert.ok(summary !== undefined, 'there was a difference');
    const { lanes } = summary;
    const count = [...lanes.values()].reduce((sum, each) => sum + each, 0);
    console.log(`${count} packets took the lane, and the long way with the same result`);
    const kinds = [4, 6].flatMap((inner) =>
      [4, 6].flatMap((outer) =>
        ['', ', tagged', ', keyed', ', tagged, keyed'].map((marks) => `IPv${inner} in IPv${outer}${marks}`),
      ),
    );
    assert.deepEqual([...lanes.keys()].sort(), kinds.sort());
    assert.ok(count > summary.verdicts[L.V_FORWARDED] / 4, 'of what is forwarded, a quarter at least');
  });

  it('in BPF take nearly all of these packets', { skip: missingForBpf }, () => {
    assert.ok(summary !== undefined, 'there was a difference');
    console.log(
      `${summary.skippedByBpf} packets are shorter or longer than a BPF test run takes (14 to 3520 bytes)`,
    );
    assert.ok(summary.skippedByBpf < summary.packets / 20);
  });

  it('agree on the mixed traffic, each packet of it in the verdict of its name', (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'anyhop-differential-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const path = join(directory, 'mixed.pcap');
    writeMixedCapture(path);
    const captured = Array.from(readCapture(path), ({ frame }) => frame.slice());
    const expected = mixedTraffic();
    assert.equal(captured.length, expected.length);
    // The limit lasts within a batch, and time moves from one batch to the next.
    const batches = expected.map(({ verdict }, i) =>
      expected[i + 1]?.verdict === 'drop_too_big_limited'
        ? [i, i + 1]
        : verdict === 'drop_too_big_limited'
          ? []
          : [i],
    );

    const config = parseConfig(MIXED_CONFIG, 'mixed.yaml', { role: 'node' });
    const { image } = assembleConfig(config, config.node, { generation: 1, path: fixedPath(MTU) });
    const subjects: Subject[] = [new TypeScriptSubject(), new HostSubject(), new HostSubject(false)];
    // With no room to spare, as an engine loads it.
    if (WITH_BPF) subjects.push(new BpfSubject(sizesFor([image])));
    t.after(() => {
      for (const subject of subjects) subject.close();
    });
    for (const subject of subjects) subject.publish(image);
    for (const batch of batches.filter((indexes) => indexes.length > 0)) {
      const frames = new Frames(batch.map((index) => captured[index]));
      const [results] = compareBatch(
        subjects,
        frames,
        'MIXED_CONFIG of test/packets/mixed-config.ts',
        `it is "${expected[batch[0]].name}" of test/packets/mixed.ts`,
        batch.length > 1,
      );
      for (const [i, index] of batch.entries()) {
        assert.equal(verdictName(results.get(i, R.VERDICT)), expected[index].verdict, expected[index].name);
      }
    }
  });
});

describe('a difference', () => {
  /** Passes what another makes of a frame on, but answers for one byte: the fault that the test must find. */
  class Faulty implements Subject {
    readonly name = 'C';
    readonly #inner = new HostSubject();
    publish = this.#inner.publish.bind(this.#inner);
    close = this.#inner.close.bind(this.#inner);
    guarded = this.#inner.guarded;
    run(frames: Frames): Results {
      const results = this.#inner.run(frames);
      for (let i = 0; i < frames.count; i++) {
        if (frames.frame(i)[40] === 7) results.set(i, R.VERDICT, VERDICTS.length - 1);
      }
      return results;
    }
  }

  it('is found, and told with the smallest packet that shows it', () => {
    const frame = new Uint8Array(200).fill(9);
    frame[40] = 7;
    const subjects = [new TypeScriptSubject(), new Faulty()];
    const config = parseConfig(MIXED_CONFIG, 'mixed.yaml', { role: 'node' });
    const { image } = assembleConfig(config, config.node, { generation: 1, path: fixedPath(MTU) });
    for (const subject of subjects) subject.publish(image);
    assert.throws(
      () => compareBatch(subjects, new Frames([new Uint8Array(60), frame]), 'a node', 'ANYHOP_SEED=1'),
      (error: Error) => {
        assert.match(error.message, /shrunk from 200/);
        assert.match(error.message, new RegExp(`\\b${'00'.repeat(40)}07$`, 'm'));
        assert.match(error.message, /TypeScript +pass_not_ip/);
        assert.match(error.message, new RegExp(`C +${VERDICTS.at(-1)!.name}`));
        assert.match(error.message, /node +a node/);
        assert.match(error.message, /to see it again: ANYHOP_SEED=1/);
        return true;
      },
    );
  });
});
