/** Whatever comes as an answer: what the view cannot read is refused, and the place is named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fleetView } from '#anyhop/view/fleet.js';
import { asEvents, asStatus } from '#anyhop/view/shape.js';
import { drawn, TABLES, type TableName } from '#anyhop/view/tables.js';
import { attack } from '../node/defend-report.js';
import { backendStatus, nodeStatus, poolStatus } from '../node/node-status.js';
import { NOW } from './seen.js';

const FULL = nodeStatus({
  log: { lost: 3, why: 'disk full' },
  config: { file: '/x', loadedAt: '2024', refused: { at: '2024', message: 'no' } },
  pools: [
    poolStatus('web', [
      backendStatus('web-1', {
        health: 'down',
        healthReason: 'refused',
        agent: { reachable: true, at: '2024', connections: 3 },
        drain: { since: '2024', deadline: '2025', connections: null, unknown: 'no agent', done: false },
      }),
      backendStatus('web-2', {
        state: 'draining',
        drain: { since: '2024', deadline: '2025', connections: 4, done: false },
      }),
    ]),
  ],
  defend: {
    mode: 'enforce',
    services: [{ name: 'http', synRate: 5, cookies: 'active', absorbed: { did: 3, would: 0 } }],
    lists: { allow: 1, block: 2, problems: ['/x: it does not exist'] },
    withoutCookies: [{ pool: 'web', backend: 'web-2', why: 'no agent' }],
    attacks: [attack(), attack({ kind: 'blocked', until: '2024' })],
  },
});

test('a status of this version is one, as it comes and as JSON', () => {
  assert.equal(asStatus(FULL), FULL);
  assert.deepEqual(asStatus(JSON.parse(JSON.stringify(FULL))), FULL);
  assert.ok(asStatus(nodeStatus()));
});

test('what is wrong is named with its place', () => {
  const [pool] = FULL.pools;
  const cases: [unknown, RegExp][] = [
    [undefined, /it is no object$/],
    [[], /it is no object$/],
    [{}, /: node is no text$/],
    [{ ...FULL, node: 'x'.repeat(70_000) }, /: node is no text$/],
    [{ ...FULL, pools: [{ ...pool, backends: [{}] }] }, /: pools\[0\]\.backends\[0\]\.name is no text$/],
    [{ ...FULL, verdicts: { forwarded: { packets: -1 } } }, /: verdicts\[0\]\.packets is no count$/],
    [{ ...FULL, services: Array(5000).fill(FULL.services[0]) }, /: services has more than 4096 entries$/],
    [{ ...FULL, readiness: { ready: 'yes' } }, /: readiness\.ready is neither true nor false$/],
  ];
  for (const [value, problem] of cases) assert.throws(() => asStatus(value), problem);
  assert.throws(() => asEvents({ events: [{ at: 1 }] }), /events\[0\]\.at is no text/);
});

/** All places in a value where something else could stand. */
function places(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [[...path]];
  return [[...path], ...Object.entries(value).flatMap(([name, one]) => places(one, [...path, name]))];
}

function replaced(value: unknown, [name, ...rest]: readonly string[], by: unknown): unknown {
  if (name === undefined) return by;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  copy[name] = replaced(copy[name], rest, by);
  return copy;
}

test('law: an answer in which anything is something else is refused, or drawn without harm', () => {
  const odd = fc.oneof(
    fc.constantFrom(undefined, null, '', 'text', -1, Number.NaN, 1e300, true, [], {}, { length: 1e9 }),
    fc.jsonValue(),
  );
  let drawnCount = 0;
  fc.assert(
    fc.property(fc.constantFrom(...places(FULL)), odd, (place, by) => {
      const value = replaced(FULL, place, by);
      let status: ReturnType<typeof asStatus>;
      try {
        status = asStatus(value);
      } catch (error) {
        assert.match((error as Error).message, /^the answer is no status of a node: /);
        return;
      }
      drawnCount++;
      const view = fleetView(
        [
          { label: 'x', answer: { at: NOW, status } },
          { label: 'y', answer: { at: NOW, status: FULL } },
        ],
        NOW,
      );
      for (const name of Object.keys(TABLES) as TableName[])
        for (const { id } of TABLES[name].columns)
          for (const { cells } of drawn(view, name, { by: id, isReversed: false }).rows)
            for (const cell of cells) assert.equal(typeof cell, 'string');
    }),
    { numRuns: 800 },
  );
  assert.ok(drawnCount > 40, 'many answers are good enough');
});
