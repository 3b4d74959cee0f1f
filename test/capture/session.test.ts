/** How a capture begins, what it lets through, and by what it ends. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compile } from '#anyhop/capture/compile.js';
import { parseExpression } from '#anyhop/capture/expression.js';
import type { CaptureFilter, CaptureNames, CaptureRecord, CaptureSource } from '#anyhop/capture/record.js';
import {
  type CaptureSink,
  capture,
  type SessionOptions,
  SinkGone,
  type Summary,
} from '#anyhop/capture/session.js';
import { L } from '#anyhop/core/layout.gen.js';
import { frame, ipv4, tcp } from '../packets/build.js';
import { NAMES, recordOf } from './names.js';

const FRAME = frame({}, ipv4({ src: '198.51.100.7', dst: '203.0.113.10' }), tcp({ sport: 4000, dport: 80 }));
const record = (more: Partial<CaptureRecord> = {}): CaptureRecord => recordOf(FRAME, more);

class Scripted implements CaptureSource {
  readonly point = 'forwarder';
  readonly interface = 'eth0';
  readonly description = 'a script';
  lost = 0;
  asked = 0;
  filter: CaptureFilter | undefined;
  readonly #batches: (readonly CaptureRecord[] | undefined)[];
  newest = NAMES;

  /** @param batches when they are over there is nothing more, for ever */
  constructor(...batches: (readonly CaptureRecord[] | undefined)[]) {
    this.#batches = batches;
  }

  async names(): Promise<CaptureNames> {
    this.asked++;
    return this.newest;
  }

  async arm(filter: CaptureFilter): Promise<void> {
    this.filter = filter;
  }

  async read(): Promise<readonly CaptureRecord[] | undefined> {
    if (this.#batches.length > 0) return this.#batches.shift();
    await new Promise((resolve) => setTimeout(resolve, 1));
    return [];
  }

  async close(): Promise<void> {}
}

function session(
  source: Scripted,
  text = '',
  more: Partial<SessionOptions> = {},
): { readonly done: Promise<Summary>; readonly written: CaptureNames[] } {
  const written: CaptureNames[] = [];
  const sink: CaptureSink = {
    write: (_, __, names) => void written.push(names),
    flush: async () => undefined,
  };
  const done = capture({
    source,
    compiled: compile(parseExpression(text), NAMES, 'forwarder'),
    names: NAMES,
    sink,
    sample: 1,
    snapLength: 64,
    count: 1000,
    forMs: 60_000,
    signal: new AbortController().signal,
    ...more,
  });
  return { done, written };
}

describe('a capture', () => {
  it('asks the source for what the filter implies, and lets through what it says', async () => {
    const other = recordOf(
      frame({}, ipv4({ src: '198.51.100.7', dst: '203.0.113.53' }), tcp({ sport: 4000, dport: 80 })),
    );
    const source = new Scripted(
      [record(), other, record({ verdict: L.V_FORWARDED, backend: 0, outLength: 100 })],
      undefined,
    );
    const { done, written } = session(source, 'vip 203.0.113.10 and not port 443', { sample: 7 });
    const { why, packets, sent, verdicts } = await done;
    assert.deepEqual([why, packets, sent, written.length], ['source', 2, 1, 2]);
    assert.deepEqual(
      [...verdicts],
      [
        [L.V_DROP_NO_SERVICE, 1],
        [L.V_FORWARDED, 1],
      ],
    );
    const { vip, sample, snapLength } = source.filter!;
    assert.deepEqual([vip?.text, sample], ['203.0.113.10', 7]);
    assert.ok(snapLength > 64, 'enough for the headers that the filter looks at');
  });

  it('ends after so many packets, and takes no more', async () => {
    const { done, written } = session(new Scripted([record(), record(), record()]), '', { count: 2 });
    assert.equal((await done).why, 'count');
    assert.equal(written.length, 2);
  });

  it('ends after its time, with what was recorded until then', async () => {
    const { done } = session(new Scripted([record()], [record()], [record()]), '', { forMs: 1 });
    const { why, packets } = await done;
    assert.deepEqual([why, packets], ['time', 3]);
  });

  it('lets timers run also while records never end of which none is wanted', async () => {
    const source = new Scripted();
    const endMs = performance.now() + 10_000;
    source.read = async () => (performance.now() > endMs ? undefined : [record()]);
    const end = new AbortController();
    setTimeout(() => end.abort(), 20);
    const { why, packets } = await session(source, 'port 443', { signal: end.signal }).done;
    assert.deepEqual([why, packets], ['signal', 0]);
  });

  it('ends when it is told to, also in the middle of records that never end', async () => {
    const end = new AbortController();
    const source = new Scripted();
    source.read = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return [record()];
    };
    const { done } = session(source, '', { signal: end.signal, count: 1e9 });
    setTimeout(() => end.abort(), 20);
    assert.equal((await done).why, 'signal');
  });

  it('ends when nobody reads what it writes, and fails when it cannot be written', async () => {
    const failing = (error: Error): CaptureSink => ({
      write: async () => {
        throw error;
      },
      flush: async () => undefined,
    });
    const gone = session(new Scripted([record()]), '', { sink: failing(new SinkGone()) });
    assert.equal((await gone.done).why, 'reader');
    const full = session(new Scripted([record()]), '', { sink: failing(new Error('no space is left')) });
    await assert.rejects(full.done, /no space/);
  });

  it('asks for names again when a newer image decides, once for each', async () => {
    const source = new Scripted(
      [record(), record({ generation: 8 }), record({ generation: 8 }), record({ generation: 9 })],
      undefined,
    );
    source.newest = { ...NAMES, generation: 8 };
    const { done, written } = session(source);
    await done;
    assert.deepEqual(
      written.map(({ generation }) => generation),
      [7, 8, 8, 8],
    );
    assert.equal(source.asked, 2);
  });

  it('takes backends of a pool that come while it runs', async () => {
    const source = new Scripted(
      [8, 8, 9].map((generation) => record({ generation, service: 0, backend: 9 })),
    );
    const end = new AbortController();
    source.newest = {
      ...NAMES,
      generation: 8,
      backends: [...NAMES.backends, { pool: 'web', name: 'web-3', number: 9, id: 13 }],
    };
    const expression = parseExpression('pool web');
    const again = (names: CaptureNames) => {
      if (source.asked > 1) throw new Error('the pool is gone');
      return compile(expression, names, 'forwarder');
    };
    setTimeout(() => end.abort(), 20);
    const { packets } = await session(source, 'pool web', { again, signal: end.signal }).done;
    assert.equal(packets, 3);
  });

  it('says what was lost', async () => {
    const source = new Scripted([record()], undefined);
    source.lost = 12;
    assert.equal((await session(source).done).lost, 12);
  });
});
