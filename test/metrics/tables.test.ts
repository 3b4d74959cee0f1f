/** Tables of numbers, on their way to a scraper: what arrives, what is sent again, and the text that it becomes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Histogram, histogramBounds, histogramColumn } from '#anyhop/metrics/histogram.js';
import { TableReceiver, TableSender } from '#anyhop/metrics/mail.js';
import { COMMON, FAMILIES, type FamilyName, OWN } from '#anyhop/metrics/names.js';
import { OPENMETRICS_TYPE, render, TEXT_TYPE } from '#anyhop/metrics/render.js';
import { info, type MetricTable, single, states } from '#anyhop/metrics/table.js';

const tablesArbitrary: fc.Arbitrary<MetricTable[]> = fc.array(
  fc.array(fc.tuple(fc.string(), fc.string({ maxLength: 3 })), { maxLength: 4 }).chain((rows) =>
    fc
      .tuple(
        ...(['anyhop_backend_up', 'anyhop_backend_weight'] as const).map(() =>
          fc.array(fc.double(), { minLength: rows.length, maxLength: rows.length }),
        ),
      )
      .map(([up, weight]) => ({
        rows,
        columns: { anyhop_backend_up: up!, anyhop_backend_weight: weight! },
      })),
  ),
  { maxLength: 3 },
);

function plain(tables: readonly MetricTable[]): unknown {
  return tables.map(({ rows, columns }) => ({
    rows,
    columns: Object.fromEntries(Object.entries(columns).map(([name, values]) => [name, Array.from(values)])),
  }));
}

describe('tables between threads', () => {
  it('arrive as they were sent, whatever was sent before', () => {
    fc.assert(
      fc.property(fc.array(tablesArbitrary, { maxLength: 5 }), (samples) => {
        const sender = new TableSender();
        const receiver = new TableReceiver();
        for (const tables of samples)
          assert.deepEqual(plain(receiver.unpack(structuredClone(sender.pack(tables)))), plain(tables));
      }),
    );
  });

  it('have the labels of their families, also when another table with the same values stood there before', async () => {
    const sender = new TableSender();
    const receiver = new TableReceiver();
    const rows = [['web']];
    for (const family of ['anyhop_service_ready', 'anyhop_pool_slots'] as const) {
      const packed = structuredClone(sender.pack([{ rows, columns: { [family]: [1] } }]));
      const text = await render(receiver.unpack(packed), TEXT_TYPE);
      assert.deepEqual(
        linesOf(text).map((line) => read(line).labels),
        [{ [FAMILIES[family].labels[0]!]: 'web' }],
      );
    }
  });

  it('go without their label sets when these are the same', () => {
    fc.assert(
      fc.property(tablesArbitrary, (tables) => {
        const sender = new TableSender();
        assert.ok(sender.pack(tables).tables.every(({ rows }) => rows !== undefined));
        assert.ok(sender.pack(structuredClone(tables)).tables.every(({ rows }) => rows === undefined));
      }),
    );
  });
});

/** What a scraper reads of a line: the name, its labels, the value. */
function read(line: string): { name: string; labels: Record<string, string>; value: string } {
  const [, name, body = '', value] =
    /^([a-z_0-9]+)(?:\{((?:[a-z_0-9]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)$/.exec(line) ?? [];
  assert.ok(name !== undefined && value !== undefined, line);
  const unescaped = (text: string): string => text.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
  const labels = [...body.matchAll(/([a-z_0-9]+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [
    label,
    unescaped(text!),
  ]);
  return { name, labels: Object.fromEntries(labels), value };
}

const linesOf = (text: string): string[] =>
  text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));

describe('the text of tables', () => {
  it('has every series once, with its labels, whatever these contain', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 5 }), async (names) => {
        const text = await render(
          [
            info(
              'anyhop_service_ready',
              names.map((name) => [name]),
            ),
          ],
          TEXT_TYPE,
        );
        assert.deepEqual(
          linesOf(text).map((line) => read(line).labels['service']),
          names,
        );
      }),
    );
  });

  it('leaves out what is not known, and a family without any series', async () => {
    const text = await render(
      [
        single({
          anyhop_ready: true,
          anyhop_image_bytes: undefined,
          anyhop_engine_missed_packets_total: Number.NaN,
        }),
        { rows: [['web'], ['api']], columns: { anyhop_service_ready: [Number.NaN, 0] } },
      ],
      TEXT_TYPE,
    );
    assert.deepEqual(linesOf(text), ['anyhop_ready 1', 'anyhop_service_ready{service="api"} 0']);
    assert.doesNotMatch(text, /image_bytes|missed/);
  });

  it('names counters as each format wants them', async () => {
    const tables = [single({ anyhop_log_lines_lost_total: 3 })];
    assert.match(
      await render(tables, TEXT_TYPE),
      /# TYPE anyhop_log_lines_lost_total counter\nanyhop_log_lines_lost_total 3\n/,
    );
    assert.match(
      await render(tables, OPENMETRICS_TYPE),
      /# TYPE anyhop_log_lines_lost counter\nanyhop_log_lines_lost_total 3\n# EOF\n$/,
    );
  });

  it('shows of several states the one that something is in', async () => {
    const text = await render(
      [
        states(
          'anyhop_announce_vip_state',
          ['announced', 'withdrawn'],
          [{ labels: ['192.0.2.1'], state: 'withdrawn' }],
        ),
      ],
      TEXT_TYPE,
    );
    assert.deepEqual(linesOf(text), [
      'anyhop_announce_vip_state{vip="192.0.2.1",state="announced"} 0',
      'anyhop_announce_vip_state{vip="192.0.2.1",state="withdrawn"} 1',
    ]);
  });

  it('of durations counts how many were at most each bound', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.double({ min: 0, max: 20, noNaN: true })), async (durations) => {
        const histogram = new Histogram();
        for (const seconds of durations) histogram.record(seconds);
        const column = histogramColumn([histogram, new Histogram()]);
        const rows = [
          ['web', 'http'],
          ['api', 'tcp'],
        ];
        const text = await render([{ rows, columns: { anyhop_check_duration_seconds: column } }], TEXT_TYPE);
        const lines = linesOf(text).map(read);
        const of = (pool: string, name: string, le?: string): number =>
          Number(
            lines.find(
              (line) => line.name === name && line.labels['pool'] === pool && line.labels['le'] === le,
            )!.value,
          );
        for (const bound of histogramBounds)
          assert.equal(
            of('web', 'anyhop_check_duration_seconds_bucket', String(bound)),
            durations.filter((seconds) => seconds <= bound).length,
          );
        assert.equal(of('web', 'anyhop_check_duration_seconds_bucket', '+Inf'), durations.length);
        assert.equal(of('web', 'anyhop_check_duration_seconds_count'), durations.length);
        const sum = durations.reduce((total, seconds) => total + seconds, 0);
        assert.ok(Math.abs(of('web', 'anyhop_check_duration_seconds_sum') - sum) < 1e-6);
        assert.equal(of('api', 'anyhop_check_duration_seconds_count'), 0);
      }),
      { numRuns: 30 },
    );
  });
});

describe('the names of metrics', () => {
  const all = Object.entries(FAMILIES);

  it('are each of one process, or of all', () => {
    const lists = [COMMON, ...Object.values(OWN)].flatMap((families) => Object.keys(families));
    assert.equal(new Set(lists).size, lists.length);
    assert.equal(all.length, lists.length);
  });

  it('are as the ecosystem has them: counters end in _total, and units are base units', () => {
    for (const [name, { type, labels, help }] of all) {
      assert.match(name, /^(?:anyhop|process)_[a-z0-9_]+$/);
      assert.equal(name.endsWith('_total'), type === 'counter', name);
      assert.doesNotMatch(name, /(?:_ms|_milliseconds|_percent|_count|_sum|_bucket)(?:_|$)/, name);
      if (type === 'histogram') assert.match(name, /_seconds$/);
      for (const label of labels) assert.match(label, /^[a-z][a-z0-9_]*$/, name);
      assert.ok(help.length > 0 && !help.endsWith('.') && !help.includes('\n'), name);
    }
  });

  it('have no label for services and backends at once, nor one of clients', () => {
    for (const [name, { labels }] of all) {
      assert.ok(!(labels.includes('service') && labels.includes('backend')), name);
      assert.ok(!labels.some((label) => /client|source|peer/.test(label)), name);
    }
  });

  it('of one table have the same labels', async () => {
    const columns: Partial<Record<FamilyName, number[]>> = {
      anyhop_backend_up: [1],
      anyhop_backend_slots: [2],
    };
    const text = await render([{ rows: [['web', 'web-1']], columns }], TEXT_TYPE);
    assert.deepEqual(linesOf(text).sort(), [
      'anyhop_backend_slots{pool="web",backend="web-1"} 2',
      'anyhop_backend_up{pool="web",backend="web-1"} 1',
    ]);
  });
});
