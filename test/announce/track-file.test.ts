/** The track file of keepalived: which number, how it gets there, and whose file it is. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import type { Announcement, AnnounceStatus, Heard } from '#anyhop/announce/status.js';
import { TrackFile, writeNotReady } from '#anyhop/announce/track-file.js';
import { trackNumber } from '#anyhop/announce/track-number.js';
import type { Logger } from '#anyhop/core/log.js';

const WAIT_MS = 10_000;
const STATES: readonly Announcement[] = ['withdrawn', 'draining', 'announced'];
const status = (
  heard: Heard,
  states: readonly Announcement[],
  held?: AnnounceStatus['held'],
): Pick<AnnounceStatus, 'heard' | 'held' | 'trackFile'> => ({
  heard: { state: heard, since: '', reasons: [] },
  trackFile: { file: 'priority', number: trackNumber(states.map((state) => ({ state }))) },
  ...(held && { held }),
});

describe('the number of a node', () => {
  test('is 100, 50 or 0 for VIPs that are all alike', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), (count) => {
        for (const [i, state] of STATES.entries())
          assert.equal(trackNumber(Array.from({ length: count }, () => ({ state }))), [0, 50, 100][i]);
      }),
    );
  });

  test('is never lower for a node that is better for one VIP, and 0 only if it is good for none', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2), { minLength: 1, maxLength: 500 }), fc.nat(), (ranks, at) => {
        const number = trackNumber(ranks.map((rank) => ({ state: STATES[rank]! })));
        assert.equal(
          number === 0,
          ranks.every((rank) => rank === 0),
        );
        const better = ranks.map((rank, i) => (i === at % ranks.length ? Math.min(rank + 1, 2) : rank));
        assert.ok(trackNumber(better.map((rank) => ({ state: STATES[rank]! }))) >= number);
      }),
    );
  });
});

describe('the track file', () => {
  let directory = '';
  let path = '';
  let said: { level: string; event?: string; why?: string }[] = [];
  let open: TrackFile[] = [];
  const log = Object.fromEntries(
    ['info', 'warn', 'error'].map((level) => [level, (fields: object) => said.push({ level, ...fields })]),
  ) as unknown as Logger;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ah-track-'));
    path = join(directory, 'priority');
    said = [];
    open = [];
  });
  afterEach(async () => {
    for (const each of open) await each.close();
    rmSync(directory, { recursive: true, force: true });
  });
  const start = (): TrackFile => {
    const file = new TrackFile(path, log);
    open.push(file);
    return file;
  };
  const read = (): string => readFileSync(path, 'latin1');
  const until = async (what: string, is: () => boolean): Promise<void> => {
    const deadline = performance.now() + WAIT_MS;
    while (!is()) {
      assert.ok(performance.now() < deadline, what);
      await delay(10);
    }
  };
  /** What the file says, one after the other, as a reader sees it that is told of each change. */
  const seen = async (act: () => Promise<unknown>): Promise<string[]> => {
    const numbers: string[] = [];
    const watcher = watch(directory, (_, name) => {
      if (name !== 'priority' || !existsSync(path)) return;
      if (numbers.at(-1) !== read().trim()) numbers.push(read().trim());
    });
    await act();
    await delay(20);
    watcher.close();
    return numbers;
  };

  test('of one who has just started stays as it is, until the node has said something', async () => {
    writeFileSync(path, '100\n');
    const file = start();
    await file.changed(status('asked', ['withdrawn']));
    assert.equal(read(), '100\n');
    await file.changed(status('serving', ['draining', 'announced']));
    assert.equal(read(), '75\n');
    await file.close();
    assert.equal(read(), '75\n', 'and when it ends');
  });

  test('is not made before the node has said something', async () => {
    await start().changed(status('asked', ['withdrawn']));
    assert.equal(existsSync(path), false);
  });

  test('goes by what an operator has said, whatever the node says', async () => {
    writeFileSync(path, '100\n');
    await start().changed(status('asked', ['withdrawn'], { by: 'withdraw', since: '' }));
    assert.equal(read(), '0\n');
  });

  test('says for a moment that the node is at fault when it can forward no more, and only then', async () => {
    const file = start();
    const change = (state: Announcement) => seen(() => file.changed(status('serving', [state])));
    assert.deepEqual(await change('withdrawn'), ['0'], 'it was never better');
    assert.deepEqual(await change('announced'), ['100']);
    assert.deepEqual(await change('draining'), ['50']);
    assert.deepEqual(await change('withdrawn'), ['-254', '0']);
    assert.deepEqual(await change('withdrawn'), []);
    await change('announced');
    assert.deepEqual(await change('withdrawn'), ['-254', '0']);
  });

  test('that was left at fault by one who was killed is put right at once', async () => {
    writeFileSync(path, '-254\n');
    await start().changed(status('asked', ['withdrawn']));
    assert.equal(read(), '0\n');
  });

  test('ends at what was said last, however fast changes come', async () => {
    const file = start();
    const changes = ['announced', 'withdrawn', 'draining', 'withdrawn', 'announced'] as const;
    await Promise.all(changes.map((state) => file.changed(status('serving', [state]))));
    assert.equal(read(), '100\n');
  });

  test('can be read by keepalived of another user', async () => {
    const umask = process.umask(0o077);
    try {
      await start().changed(status('serving', ['announced']));
    } finally {
      process.umask(umask);
    }
    assert.equal(statSync(path).mode & 0o777, 0o644);
  });

  test('that another program changes or removes is written again, and never says that the node is at fault', async () => {
    await start().changed(status('serving', ['announced']));
    for (const act of [() => writeFileSync(path, '0\n'), () => rmSync(path)]) {
      act();
      const numbers = await seen(() => until('written again', () => existsSync(path) && read() === '100\n'));
      assert.equal(numbers.includes('-254'), false);
    }
    assert.equal(said.filter(({ event }) => event === 'track_file_restored').length, 2);
  });

  test('whose directory is gone is complained of once, and written when it is back', async () => {
    const file = start();
    await file.changed(status('serving', ['announced']));
    rmSync(directory, { recursive: true });
    await file.changed(status('serving', ['draining']));
    await delay(1_200);
    assert.equal(said.filter(({ event }) => event === 'track_file_failed').length, 1);
    mkdirSync(directory);
    await until('written', () => existsSync(path) && read() === '50\n');
  });

  test('is refused where it cannot be one', () => {
    const refused = (message: RegExp): void =>
      assert.throws(() => new TrackFile(path, log), { code: 'ERR_STATE_FILE', message });
    writeFileSync(path, 'root:x:0:0\n');
    refused(/announce\.track_file: .*priority: expected one number, found root:x:0:0/);
    rmSync(path);
    symlinkSync('/etc/passwd', path);
    refused(/it is not a regular file/);
    rmSync(path);
    mkdirSync(path);
    refused(/it is not a regular file/);
    path = join(directory, 'missing/priority');
    refused(/announce\.track_file: the directory .*missing does not exist/);
  });

  test('that keepalived has made is taken over', async () => {
    writeFileSync(path, '');
    chmodSync(path, 0o600);
    await start().changed(status('serving', ['announced']));
    assert.equal(read(), '100\n');
  });

  test('without a process says that the node is not ready, if it said otherwise', async () => {
    assert.deepEqual(await seen(() => writeNotReady(path)), []);
    writeFileSync(path, '50\n');
    assert.deepEqual(await seen(() => writeNotReady(path)), ['-254', '0']);
    assert.deepEqual(await seen(() => writeNotReady(path)), []);
  });
});
