/** What stands on the screen, for every size, view and key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { placed } from '#anyhop/top/columns.js';
import { picture } from '#anyhop/top/picture.js';
import { type Chosen, chosen, type Key, pressed, TABLE_NAMES } from '#anyhop/top/state.js';
import { painted } from '#anyhop/top/style.js';
import { fit, safe, widthOf } from '#anyhop/top/text.js';
import { fleetView } from '#anyhop/view/fleet.js';
import { drawn, TABLES } from '#anyhop/view/tables.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';
import { NOW, seen, silent } from '../view/seen.js';

/** What a backend could answer to clear the screen, change the title, or hide a line. */
const HOSTILE = 'x\x1b[2J\x1b]0;owned\x07\r\nreadable \u202e \u200b';
const members = [
  backendStatus('web-1', { health: 'down', healthReason: HOSTILE }),
  backendStatus('web-2', { hasAgent: true, agent: { reachable: false, at: '2024', why: '漢字'.repeat(40) } }),
  ...Array.from({ length: 30 }, (_, i) => backendStatus(`web-${i + 3}`, { packetsPerSecond: i })),
];
const BUSY = {
  pools: [poolStatus('web', members)],
  verdicts: { drop_no_backend: { packets: 9, packetsPerSecond: 3 } },
};
const VIEWS = [
  fleetView([seen('edge-1')], NOW),
  fleetView([seen('edge-1', BUSY), silent('edge-2', 9000), { label: HOSTILE, silence: HOSTILE }], NOW),
  fleetView([silent('edge-1', 9000, BUSY)], NOW),
  fleetView([{ label: '/run/anyhop/edge-1.sock', silence: 'it does not exist' }], NOW),
];

const key: fc.Arbitrary<Key> = fc.oneof(
  fc
    .constantFrom(
      'up',
      'down',
      'pageup',
      'pagedown',
      'home',
      'end',
      'left',
      'right',
      'escape',
      'return',
      'backspace',
    )
    .map((name) => ({ name })),
  fc
    .constantFrom(...'1234sbvnkjgGo<>rp?h/ \t\x1bqxQ漢')
    .map((sequence) => ({ name: sequence.toLowerCase(), sequence })),
  fc.constantFrom('c', 'l', 'z', 'u').map((name) => ({ name, ctrl: true })),
  fc.string({ unit: 'binary' }).map((sequence) => ({ sequence })),
);
// Control and bidirectional characters are what a terminal obeys.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

test('law: whatever keys come, a picture fills its screen to the row, and no line is wider or holds what a terminal obeys', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...VIEWS),
      fc.constantFrom(...TABLE_NAMES),
      fc.array(key, { maxLength: 30 }),
      fc.integer({ min: 1, max: 240 }),
      fc.integer({ min: 1, max: 80 }),
      (view, table, keys, columns, rows) => {
        let state: Chosen = chosen(table);
        let page = 1;
        for (const one of keys) {
          state = pressed(state, one, page).state;
          const shown = picture(view, state, { columns, rows });
          assert.equal(shown.lines.length, rows);
          assert.ok(shown.offset >= 0 && shown.offset <= Math.max(0, members.length));
          state = { ...state, offset: shown.offset };
          page = Math.max(1, shown.page);
        }
        for (const line of picture(view, state, { columns, rows }).lines)
          for (const isColoured of [true, false]) {
            // biome-ignore lint/suspicious/noControlCharactersInRegex: our own sequences
            const text = painted(line, columns, isColoured).replaceAll(/\x1b\[[\d;]*m/g, '');
            assert.doesNotMatch(text, UNSAFE);
            assert.ok(widthOf(text) <= columns, `${widthOf(text)} of ${columns}: ${text}`);
          }
      },
    ),
    { numRuns: 120 },
  );
});

test('law: a text fits any width exactly, and is cut between signs', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      fc.nat({ max: 60 }),
      fc.boolean(),
      (text, width, isRight) => {
        const fitted = fit(text, width, isRight);
        assert.equal(widthOf(fitted), width);
        if (widthOf(safe(text)) <= width) assert.equal(fitted.trim(), safe(text).trim());
      },
    ),
  );
  assert.equal(fit('漢字漢字', 6), '漢字~ ');
  assert.equal(fit('web-10000', 6), 'web-1~');
  assert.equal(fit('7', 3, true), '  7');
});

test('law: columns fit the screen, the first always shows, and none goes before a less important one', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...VIEWS),
      fc.constantFrom(...TABLE_NAMES),
      fc.integer({ min: 30, max: 240 }),
      (view, name, width) => {
        const table = drawn(view, name, { by: TABLES[name].sortedBy, isReversed: false });
        const places = placed(table, width);
        assert.equal(places[0].column, 0);
        const kept = new Set(places.map(({ column }) => column));
        const ranks = table.columns.map(({ rank }) => rank);
        const gone = ranks.filter((_, column) => !kept.has(column));
        const worst = Math.max(...[...kept].map((column) => ranks[column]));
        for (const rank of gone) assert.ok(rank >= worst, `rank ${rank} is gone, ${worst} is there`);
        if (worst > 0) assert.ok(places.reduce((sum, place) => sum + place.width + 2, -2) <= width);
      },
    ),
  );
});

test('law: a filter shows the rows that have the text, in the order without it', () => {
  const order = { by: 'pps', isReversed: false };
  fc.assert(
    fc.property(fc.constantFrom('web', '1', 'DOWN', 'refused', 'nothing'), (filter) => {
      const all = drawn(VIEWS[1], 'backend', order).rows.map(({ cells }) => cells.join('\n'));
      const some = drawn(VIEWS[1], 'backend', order, filter).rows.map(({ cells }) => cells.join('\n'));
      assert.deepEqual(
        some,
        all.filter((row) => row.toLowerCase().includes(filter.toLowerCase())),
      );
    }),
  );
});

test('typing a filter takes letters that are keys otherwise, Backspace, Enter and Escape', () => {
  const type = (state: Chosen, keys: Key[]): Chosen =>
    keys.reduce((one, each) => pressed(one, each, 10).state, state);
  const letters = (text: string): Key[] => [...text].map((sequence) => ({ sequence, name: sequence }));
  const typed = type(chosen('backend'), [...letters('/qpx'), { name: 'backspace' }]);
  assert.deepEqual([typed.typed, typed.filter, typed.isPaused], ['qp', '', false]);
  const kept = type(typed, [{ name: 'return' }]);
  assert.deepEqual([kept.typed, kept.filter], [undefined, 'qp']);
  assert.equal(type(typed, [{ name: 'escape' }]).filter, '');
  assert.equal(type(kept, [{ name: 'escape' }]).filter, '');
  assert.deepEqual(pressed(typed, { sequence: 'q' }, 1).effect, undefined);
  assert.deepEqual(pressed(kept, { sequence: 'q' }, 1).effect, 'quit');
});

test('every table keeps its own order while another shows', () => {
  const keys = ['2', '>', '>', 'r', '1', '2'].map((sequence) => ({ sequence }));
  const state = keys.reduce((one, each) => pressed(one, each, 10).state, chosen('service'));
  assert.deepEqual(state.orders.backend, { by: 'pps', isReversed: true });
  assert.deepEqual(state.orders.service, { by: 'pps', isReversed: false });
});

test('the first line says how old the picture is when no node answers', () => {
  const text = (view: (typeof VIEWS)[number], columns = 80): string[] =>
    picture(view, chosen('service'), { columns, rows: 24 }).lines.map((line) =>
      line.map((span) => span.text).join(''),
    );
  assert.match(text(VIEWS[2])[0], /^ NO ANSWER for 9 s: this is the last picture {2}connection refused/);
  assert.match(text(VIEWS[0])[0], /^edge-1 {2}ready {2}xdp \(driver\) on eth0, up 5 min +\d\d:\d\d:\d\d$/);
  assert.match(text(VIEWS[1])[0], /^3 nodes {2}1 ready {2}2 SILENT/);
  assert.ok(nodeStatus().readiness.ready);
});
