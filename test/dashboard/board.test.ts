/** The board: what a watcher is told, however seldom. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Board } from '#anyhop/dashboard/board.js';
import { Store } from '#anyhop/dashboard/page/store.js';
import type { Update } from '#anyhop/dashboard/wire.js';

const values = fc.dictionary(fc.constantFrom('a/1', 'a/2', 'b/1', 'b/2', 'c'), fc.nat(3));
const step = fc.record({ values, prefix: fc.constantFrom('a/', 'b/', 'c'), isRead: fc.boolean() });

describe('the board', () => {
  it('tells a reader all of itself, whenever the reader listens', () => {
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const board = new Board();
        const truth = new Map<string, unknown>();
        const store = new Store();
        let known = 0;
        for (const { values, prefix, isRead } of [...steps, { values: {}, prefix: 'none', isRead: true }]) {
          const given = new Map(Object.entries(values).filter(([key]) => key.startsWith(prefix)));
          for (const key of truth.keys()) if (key.startsWith(prefix)) truth.delete(key);
          for (const [key, value] of given) truth.set(key, value);
          board.replace(given, [prefix]);
          if (!isRead) continue;
          store.apply(JSON.parse(board.since(known, { ageMs: 0 })) as Update);
          known = board.version;
          assert.deepEqual(new Map(store.all('').sort()), new Map([...truth].sort()));
        }
      }),
    );
  });

  it('tells nothing twice', () => {
    const board = new Board();
    board.replace(new Map([['a/1', { name: 'one' }]]), ['a/']);
    const { version } = board;
    board.replace(new Map([['a/1', { name: 'one' }]]), ['a/']);
    assert.equal(board.version, version);
    assert.deepEqual(JSON.parse(board.since(version, { ageMs: 5 })), { ageMs: 5, gone: [], set: {} });
  });

  it('tells everything to a reader that slept while thousands of values went', () => {
    const board = new Board();
    board.replace(new Map([['a/first', 1]]), ['a/']);
    const known = board.version;
    for (let i = 0; i < 5_000; i++) board.replace(new Map([[`a/${i}`, i]]), ['a/']);
    const update = JSON.parse(board.since(known, { ageMs: 0 })) as Update;
    assert.equal(update.first, true);
    assert.deepEqual(update.set, { 'a/4999': 4_999 });
  });
});
