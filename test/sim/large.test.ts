/** What must be so in a large fleet, at small sizes. ANYHOP_SEED=n plays the same again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { find, lose } from '#anyhop/sim/large/events.js';
import type { Kind, LargeOptions } from '#anyhop/sim/large/options.js';
import { type LargeReport, LargeSimulation, simulateLarge } from '#anyhop/sim/large/simulate.js';
import { seedOfRun } from '../differential/random.js';

const seed = seedOfRun();
const MINUTE_MS = 60_000;
const AT_ONCE = { medianMs: 50, p99Ms: 50 };

/** Nothing happens by itself, and all members are equally fast. */
const CALM: LargeOptions = {
  seed,
  nodes: 6,
  backends: 12,
  flows: 200,
  slots: 251,
  settleMs: 8000,
  lifetimeMs: 8000,
  endMs: 5 * MINUTE_MS,
  views: 'own',
  churn: 0,
  crashes: 0,
  restarts: 0,
  partitions: 0,
  late: 0,
  loss: 0,
  prepare: AT_ONCE,
  switch: AT_ONCE,
};

const ALONE = 'anyhop_without_second_chance';

function broken({ rows }: LargeReport, scheme = 'anyhop'): number {
  return rows.reduce((sum, row) => sum + row.broken[scheme]!, 0);
}

function row({ rows }: LargeReport, kind: Kind): LargeReport['rows'][number] {
  return rows.find((each) => each.kind === kind)!;
}

function withdrawals({ rows }: LargeReport): number {
  return rows.reduce((sum, each) => sum + each.withdrawals, 0);
}

/** Adds a backend to the first pool after so long. */
function addAt(simulation: LargeSimulation, atMs: number): void {
  const { agenda, operator, memberOf } = simulation.parts;
  agenda.at(atMs, () =>
    operator.ask({ kind: 'add', pool: 0, edit: (backends) => [...backends, memberOf(0)] }),
  );
}

test('planned changes of members that are equally fast break nothing, and tables never differ', () => {
  const report = simulateLarge({ ...CALM, endMs: 3 * MINUTE_MS, churn: 300 });
  assert.ok(report.changes.applied > 2, JSON.stringify(report.changes));
  assert.deepEqual([broken(report), report.differedMs, withdrawals(report)], [0, 0, 0]);
  assert.ok(broken(report, ALONE) > 20, `${broken(report, ALONE)}`);
});

test('planned changes of members of different speed break nothing, and tables differ for as long as the slowest takes', () => {
  const options = { ...CALM, endMs: 3 * MINUTE_MS, churn: 300, switch: { medianMs: 50, p99Ms: 400 } };
  const report = simulateLarge(options);
  assert.equal(broken(report), 0);
  assert.ok(report.differedMs > 0);
  assert.equal(
    simulateLarge({ ...options, late: 0.2 }).rows.find(({ kind }) => kind === 'add')?.broken['anyhop'],
    0,
  );
});

test('how long tables differ because of a late node is told apart from the change', () => {
  const report = simulateLarge({ ...CALM, churn: 240, late: 0.1 });
  const { differed, maxMs } = row(report, 'late node');
  assert.ok(differed > 0 && maxMs > 500, `${differed} ${maxMs}`);
  assert.ok(row(report, 'late node').totalMs > 0.9 * report.differedMs);
});

test('a node that misses a revision is withdrawn when it learns of it, and breaks nothing if that is within the settle time', () => {
  const simulation = new LargeSimulation({ ...CALM, settleMs: 20_000, endMs: 2 * MINUTE_MS });
  const { agenda, nodes } = simulation.parts;
  const node = nodes.all[0]!;
  agenda.at(10_000, () => lose(simulation.parts, node));
  addAt(simulation, 20_000); // refused first, then without it, after 30 s
  agenda.at(60_000, () => find(simulation.parts, node));
  const report = simulation.run();
  assert.deepEqual([node.isRouted, node.revision.number, nodes.head.number], [false, 1, 2]);
  assert.deepEqual([broken(report), withdrawals(report)], [0, 1]);
  const { applied, refused, leftOut } = report.changes;
  assert.deepEqual([applied, refused, leftOut], [1, 1, 1]);
  const { maxMs } = row(report, 'partition');
  assert.ok(maxMs > 9_000 && maxMs < 11_000, `${maxMs}`);
});

test('a node that was left out serves again with the next revision', () => {
  const simulation = new LargeSimulation(CALM);
  const { agenda, nodes } = simulation.parts;
  const node = nodes.all[0]!;
  agenda.at(10_000, () => lose(simulation.parts, node));
  addAt(simulation, 20_000);
  agenda.at(MINUTE_MS, () => find(simulation.parts, node));
  agenda.at(3 * MINUTE_MS, () => assert.deepEqual([node.isRouted, node.revision.number], [false, 1]));
  addAt(simulation, 3 * MINUTE_MS);
  simulation.run();
  assert.deepEqual([node.isRouted, node.revision.number], [true, 3]);
});

test('a node that comes back finds connections that began by revisions of the settle time that it has missed', () => {
  const simulation = new LargeSimulation({
    ...CALM,
    nodes: 4,
    backends: 6,
    flows: 3000,
    settleMs: MINUTE_MS,
    lifetimeMs: 28_000,
    endMs: 2 * MINUTE_MS,
  });
  const { agenda, nodes } = simulation.parts;
  const node = nodes.all[0]!;
  agenda.at(5_000, () => lose(simulation.parts, node));
  for (const atMs of [10_000, 10_000, 85_000]) addAt(simulation, atMs); // in force after 41, 71 and 102 s
  agenda.at(72_000, () => find(simulation.parts, node));
  const report = simulation.run();
  assert.deepEqual([node.isRouted, node.revision.number, broken(report)], [true, 4, 0]);
});

test('a node without the store goes on by what it has, with tables that differ until it is back', () => {
  const simulation = new LargeSimulation(CALM);
  const { agenda, nodes } = simulation.parts;
  agenda.at(10_000, () => lose(simulation.parts, nodes.all[0]!));
  addAt(simulation, 20_000);
  agenda.at(3 * MINUTE_MS, () => find(simulation.parts, nodes.all[0]!));
  const { totalMs } = row(simulation.run(), 'partition');
  assert.ok(totalMs > 2 * MINUTE_MS && totalMs < 3 * MINUTE_MS, `${totalMs}`);
});

test('a change waits while two others of its pool settle, as on one node', () => {
  const simulation = new LargeSimulation(CALM);
  for (const at of [1000, 2000, 3000]) addAt(simulation, at);
  const { waitMs } = simulation.run().changes;
  assert.deepEqual(waitMs.slice(0, 2), [0, 0]);
  assert.ok(waitMs[2]! > 4000 && waitMs[2]! < 9000, `${waitMs[2]}`);
});

test('a node that alone sees most backends down has other tables with views: own, and is withdrawn with views: quorum', () => {
  const blinded = (views: LargeOptions['views']): LargeReport => {
    const simulation = new LargeSimulation({ ...CALM, views });
    const { agenda, nodes, sight } = simulation.parts;
    const names = nodes.head.files[0]!.backends.slice(0, 9).map(({ name }) => name);
    agenda.at(10_000, () => sight.blind(nodes.all[0]!, names, true));
    agenda.at(4 * MINUTE_MS, () => sight.blind(nodes.all[0]!, names, false));
    return simulation.run();
  };
  const [own, quorum] = [blinded('own'), blinded('quorum')];
  assert.ok(row(own, 'blind node').totalMs > 3 * MINUTE_MS);
  assert.deepEqual([withdrawals(own), quorum.differedMs, withdrawals(quorum)], [0, 0, 1]);
});

test('tables differ for seconds after a crash with views: own, and for a moment with views: quorum', () => {
  const crash = (views: LargeOptions['views']): LargeReport =>
    simulateLarge({ ...CALM, views, crashes: 200 });
  const [own, quorum] = [crash('own'), crash('quorum')];
  assert.ok(row(own, 'crash').medianMs > 500, `${row(own, 'crash').medianMs}`);
  assert.ok(row(quorum, 'crash').medianMs < 300, `${row(quorum, 'crash').medianMs}`);
  assert.equal(own.silent, 0);
});

test('the same seed gives the same answer whatever happens', () => {
  const options = {
    ...CALM,
    endMs: 3 * MINUTE_MS,
    churn: 120,
    crashes: 60,
    restarts: 300,
    partitions: 300,
    late: 0.05,
    loss: 0.03,
  };
  const [one, other] = [simulateLarge(options), simulateLarge(options)];
  assert.deepEqual(one, other);
  assert.ok(row(one, 'partition').events > 0 && row(one, 'restart').events > 0);
});

test('a hundred nodes need hardly more tables than ten: nodes that know the same share them', () => {
  const tables = (nodes: number): number =>
    simulateLarge({ ...CALM, churn: 120, nodes, switch: { medianMs: 50, p99Ms: 200 } }).tables;
  const [few, many] = [tables(10), tables(100)];
  assert.ok(few > 10 && many < 1.5 * few, `${few} ${many}`);
});
