/** Events on disk: they outlive their process, whatever ends it; never half, never without bound, never in the process's way. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { pino } from 'pino';
import { EVENTS_BURST_MAX, EVENTS_SEGMENT_BYTES_MAX } from '#anyhop/core/limits.js';
import { createLog } from '#anyhop/core/log.js';
import { makeEvent, type NodeEvent, readLine, writeLine } from '#anyhop/events/event.js';
import { EventJournal, type JournalOptions } from '#anyhop/events/journal.js';
import { LateEvents } from '#anyhop/events/late.js';
import { oldSegmentPath, readKept, segmentPath } from '#anyhop/events/segments.js';
import { EventStore } from '#anyhop/events/store.js';
import { missingForIsolation } from '../isolation.js';

const directory = mkdtempSync(join(tmpdir(), 'anyhop-events-'));
after(() => rmSync(directory, { recursive: true }));
let count = 0;
const fresh = (): string => join(directory, String(count++));
const silent = createLog('silent');
const NAME = 'edge-1';

const options = (place: string, more: Partial<JournalOptions> = {}): JournalOptions => ({
  directory: place,
  name: NAME,
  field: 'node.state_dir',
  log: silent,
  ...more,
});
const kept = (place: string): NodeEvent[] => [
  ...readKept(place, NAME, { nowMs: Date.now(), most: 100_000 }).events,
];
const messages = (events: readonly NodeEvent[]): string[] => events.map(({ message }) => message);
const now = (message: string): NodeEvent => makeEvent(new Date(), 'info', 'x', message);

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadlineMs, `never: ${condition}`);
    await delay(5);
  }
}

function linesOf(records: Record<string, unknown>[]): ReturnType<typeof pino> {
  return pino({ base: null }, { write: (line: string) => void records.push(JSON.parse(line)) });
}

describe('the events of a process', () => {
  it('are what its log is told, whatever the level of the log, but for routine', async () => {
    const place = fresh();
    const lines: Record<string, unknown>[] = [];
    const store = new EventStore(options(place));
    const log = store.recorded(linesOf(lines));
    log.info({ event: 'published' }, 'generation 2 is in force');
    log.info({ event: 'pool' }, 'pool web: 2 backends');
    log.warn({ event: 'pool' }, 'pool web: 2 backends; all are down');
    log.debug({ event: 'check_failed' }, 'a detail');
    log.error({ event: 'detached' }, 'the program was taken off');
    await store.close();
    const told = store.report().events.map(({ level, event }) => `${level} ${event}`);
    assert.deepEqual(told, ['info process_started', 'warn pool', 'error detached', 'info process_ended']);
    assert.equal(lines.length, 4);
    assert.deepEqual(kept(place), store.report().events, 'and they are on disk when the process ends');
    assert.deepEqual(readdirSync(place), ['edge-1.events.jsonl']);
    assert.equal(statSync(join(place, 'edge-1.events.jsonl')).mode & 0o077, 0);
    assert.equal(statSync(place).mode & 0o077, 0);
  });

  it('are those of the processes before it too, and say when the last one was killed', async () => {
    const place = fresh();
    const first = new EventStore(options(place));
    first.recorded(silent).warn({ event: 'health' }, 'web-1 is down');
    await first.close();
    const second = new EventStore(options(place)); // is never closed: a kill
    await until(() => kept(place).length === 4);
    appendFileSync(segmentPath(place, NAME), '{"at":"2024-05-01T12:00:00.000Z","level":"in');
    const third = new EventStore(options(place));
    third.recorded(silent).info({ event: 'health' }, 'web-1 is up');
    await third.close(new Error('no interface'));
    assert.deepEqual(
      third.report().events.map(({ event }) => event),
      'process_started health process_ended process_started process_started health process_ended'.split(' '),
    );
    const said = messages(third.report().events);
    assert.doesNotMatch(said[3], /before/);
    assert.match(
      said[4],
      /; no end of the one before is kept, its last event is of [\d:]+; 1 kept line is no events$/,
    );
    assert.equal(said.at(-1), `process ${process.pid} ends: no interface`);
    // The torn line has taken none of the others with it.
    assert.deepEqual(kept(place), third.report().events);
    await second.close();
  });

  it('are kept also where a process learns only from its config, from its first line on', async () => {
    const place = fresh();
    mkdirSync(place, { mode: 0o700 });
    const keepIn = (events: LateEvents): void =>
      events.keepIn({ directory: place, name: NAME, field: 'l7.run_dir' });
    const events = new LateEvents(silent);
    events.log.warn({ event: 'dumps_allowed' }, 'before');
    keepIn(events);
    events.log.info({ event: 'ready' }, 'after');
    keepIn(events); // a reload
    assert.equal(await events.during(async () => 7), 7);
    const failing = new LateEvents(silent);
    await assert.rejects(
      failing.during(async () => {
        keepIn(failing);
        throw new Error('no HAProxy');
      }),
      /no HAProxy/,
    );
    await assert.rejects(new LateEvents(silent).during(() => Promise.reject(new Error('no config'))));
    assert.deepEqual(
      kept(place).map(({ event }) => event),
      'process_started dumps_allowed ready process_ended process_started process_ended'.split(' '),
    );
  });

  it('are read back as the newest of all that were written, in two files of bounded size (property)', async () => {
    const segmentBytes = 2_000;
    const message = fc.string({ unit: 'binary', maxLength: 120 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(message, { maxLength: 12 }), { maxLength: 12 }), async (runs) => {
        const place = fresh();
        const written: NodeEvent[] = [];
        for (const run of runs) {
          const journal = new EventJournal(options(place, { segmentBytes }));
          for (const one of run.map(now)) {
            journal.add(one);
            written.push(one);
          }
          await journal.close();
        }
        const read = kept(place);
        assert.deepEqual(read, written.slice(written.length - read.length));
        const sizes = [segmentPath(place, NAME), oldSegmentPath(place, NAME)].map(
          (path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0,
        );
        // A batch is never parted: one that is larger than a file has a file of its own.
        const batches = runs.map((run) => Buffer.byteLength(run.map((one) => writeLine(now(one))).join('')));
        assert.ok(Math.max(...sizes) <= Math.max(segmentBytes, ...batches), `${sizes}`);
        // What is lost was lost because two files are full.
        if (read.length < written.length) assert.ok(sizes[0] + sizes[1] > segmentBytes / 2);
        rmSync(place, { recursive: true, force: true });
      }),
      { numRuns: 20 },
    );
  });

  it('are those of a day, and a file that is a day old makes room', async () => {
    // A write may be about to begin, or under way, when the process ends.
    for (const pauseMs of [undefined, 0, 1, 2]) await aDay(pauseMs);
  });

  async function aDay(pauseMs: number | undefined): Promise<void> {
    const place = fresh();
    let nowMs = Date.UTC(2024, 4, 1, 12);
    const add = async (...texts: string[]): Promise<void> => {
      const journal = new EventJournal(options(place, { now: () => new Date(nowMs) }));
      for (const text of texts) journal.add(makeEvent(new Date(nowMs), 'info', 'x', text));
      if (pauseMs !== undefined) await delay(pauseMs);
      await journal.close();
    };
    const read = (): string[] => messages(readKept(place, NAME, { nowMs, most: 10 }).events);
    await add('first');
    nowMs += 23 * 3_600_000;
    await add('second');
    assert.deepEqual(read(), ['first', 'second']);
    nowMs += 2 * 3_600_000;
    assert.deepEqual(read(), ['second']);
    await add('third');
    assert.deepEqual(read(), ['second', 'third']);
    nowMs += 25 * 3_600_000;
    await add('fourth');
    assert.deepEqual(read(), ['fourth']);
    const old = readFileSync(oldSegmentPath(place, NAME), 'utf8').trimEnd().split('\n');
    assert.deepEqual(
      old.map((line) => readLine(line)?.message),
      ['third'],
    );
  }

  it('are all written when the process ends, also those that came while others were being written', async () => {
    for (let i = 0; i < 30; i++) {
      const place = fresh();
      const journal = new EventJournal(options(place));
      journal.add(now('first'));
      await delay(0);
      journal.add(now('second'));
      await journal.close();
      assert.deepEqual(messages(kept(place)), ['first', 'second']);
    }
  });

  it('of a flood are a bounded number on disk, and what is left out is counted', async () => {
    const place = fresh();
    const journal = new EventJournal(options(place));
    const flood = EVENTS_BURST_MAX + 10_000;
    const startedMs = performance.now();
    for (let i = 0; i < flood; i++) journal.add(now(String(i)));
    await journal.close();
    const seconds = (performance.now() - startedMs) / 1000;
    const read = kept(place);
    const left = read.at(-1)!;
    assert.equal(left.event, 'events_left_out');
    assert.ok(Math.abs(read.length - 1 - EVENTS_BURST_MAX) <= seconds + 1);
    assert.match(left.message, new RegExp(`^${flood - (read.length - 1)} more events happened before this`));
  });

  it('of a flood still have the end of the process, which so does not look killed', async () => {
    const place = fresh();
    const store = new EventStore(options(place));
    const log = store.recorded(silent);
    for (let i = 0; i < EVENTS_BURST_MAX + 10; i++) log.warn({ event: 'health' }, String(i));
    await store.close();
    assert.deepEqual(
      kept(place)
        .slice(-2)
        .map(({ event }) => event),
      ['events_left_out', 'process_ended'],
    );
    const next = new EventStore(options(place));
    assert.match(next.report().events.at(-1)!.message, /^anyhop \S+ starts, process \d+$/);
    await next.close();
  });

  it('cost nothing but themselves when they cannot be written, which is said once', async () => {
    const place = fresh();
    writeFileSync(place, 'a file');
    const lines: Record<string, unknown>[] = [];
    const journal = new EventJournal(options(place, { log: linesOf(lines), everyMs: 5, retryMs: 5 }));
    for (let i = 0; i < 5; i++) {
      journal.add(now(String(i)));
      await delay(20);
    }
    assert.equal(lines.length, 1);
    assert.equal(lines[0]['event'], 'events_not_kept');
    assert.match(String(lines[0]['msg']), /node\.state_dir names another place$/);
    rmSync(place);
    await until(() => kept(place).length === 5);
    await journal.close();
    assert.deepEqual(messages(kept(place)), ['0', '1', '2', '3', '4'], 'and come when they can');
  });

  it('are never written through a link, to a directory that others can write, or read from a file of any size', async () => {
    const place = fresh();
    const lines: Record<string, unknown>[] = [];
    const write = async (text: string): Promise<void> => {
      const journal = new EventJournal(options(place, { log: linesOf(lines) }));
      journal.add(now(text));
      await journal.close();
    };
    await write('first');
    const elsewhere = join(directory, 'elsewhere');
    writeFileSync(elsewhere, '');
    rmSync(segmentPath(place, NAME));
    symlinkSync(elsewhere, segmentPath(place, NAME));
    await write('second');
    assert.equal(readFileSync(elsewhere, 'utf8'), '');
    rmSync(segmentPath(place, NAME));
    chmodSync(place, 0o777);
    await write('third');
    assert.deepEqual(readdirSync(place), []);
    assert.equal(lines.length, 2);
    chmodSync(place, 0o700);
    writeFileSync(segmentPath(place, NAME), '\n'.repeat(2 * EVENTS_SEGMENT_BYTES_MAX + 1));
    const { events, problems } = readKept(place, NAME, { nowMs: Date.now(), most: 10 });
    assert.deepEqual([events.length, problems.length], [0, 1]);
  });

  const isolation = missingForIsolation('unshare', 'mount');
  it('lose nothing to a disk that is full for a while, and no line is written half', {
    skip: isolation,
  }, () => {
    const script = `
      import { writeFileSync, rmSync } from 'node:fs';
      import { createLog } from '#anyhop/core/log.js';
      import { makeEvent } from '#anyhop/events/event.js';
      import { EventJournal } from '#anyhop/events/journal.js';
      import { readKept } from '#anyhop/events/segments.js';
      const place = '/var/lib/anyhop';
      const said = [];
      const log = { ...createLog('silent'), warn: (fields) => said.push(fields.why) };
      const options = { directory: place, name: 'edge-1', field: 'x', log, everyMs: 5, retryMs: 5 };
      const journal = new EventJournal(options);
      let next = 0;
      const add = () => { for (let i = 0; i < 300; i++) journal.add(makeEvent(new Date(), 'info', 'x', String(next++))); };
      const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const until = async (condition) => { for (let i = 0; !condition() && i < 4000; i++) await pause(5); };
      const read = () => readKept(place, 'edge-1', { nowMs: Date.now(), most: 9999 });
      add();
      await until(() => read().events.length === 300);
      try { writeFileSync('/var/lib/filler', Buffer.alloc(1 << 20)); } catch {} // the disk is full
      add();
      await until(() => said.length > 0);
      add();
      await pause(50);
      const halfway = read();
      rmSync('/var/lib/filler');
      await until(() => read().events.length === 900);
      await journal.close();
      const { events, torn } = read();
      const inOrder = events.every(({ message }, i) => message === String(i));
      console.log(JSON.stringify({ said, count: events.length, torn, inOrder, wasHalf: halfway.events.length < 900 }));`;
    const node = [process.execPath, '--input-type=module', '-e', script];
    const command = 'mount -t tmpfs -o size=128k none /var/lib && exec "$@"';
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', command, 'sh', ...node], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.deepEqual(
      JSON.parse(stdout || 'null'),
      { said: ['no space left on device'], count: 900, torn: 0, inOrder: true, wasHalf: true },
      stderr,
    );
  });
});
