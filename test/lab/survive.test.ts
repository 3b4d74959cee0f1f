/** `make survive` tells the truth: what is at risk, what broke, whose fault it was, and the last line and exit code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConnectionRecord, flowName, type Sample } from '../../scripts/survive/journal.js';
import { judge, type Witnessed } from '../../scripts/survive/judge.js';
import type { PlacementThen, PlayedEvent } from '../../scripts/survive/play.js';
import { shortcomings } from '../../scripts/survive/proof.js';
import { passed, reportText } from '../../scripts/survive/report.js';
import { Wheel } from '../../scripts/survive/wheel.js';
import { answer, Lines } from '../../scripts/survive/wire.js';

let port = 20_000;
function connection(server: string | null, fields: Partial<ConnectionRecord> = {}): ConnectionRecord {
  port += 1;
  return {
    event: 'connection',
    kind: 'held',
    family: port % 2 === 0 ? 4 : 6,
    port,
    server,
    openedAtMs: 0,
    endedAtMs: 100_000,
    answers: 10,
    broken: null,
    brokenSinceMs: null,
    ...fields,
  };
}

const brokenAt = (ms: number, broken = 'ECONNRESET'): Partial<ConnectionRecord> => ({
  broken,
  brokenSinceMs: ms,
  endedAtMs: ms,
});

const [ONE, TWO, CRASHED] = ['web-1/aa', 'web-2/bb', 'web-3/cc'];
const owner = (server: string | null): string => server?.split('/')[0] ?? 'web-3';

/** A placement by `place`, which says forwarder and owner of a connection. */
function placement(
  connections: readonly ConnectionRecord[],
  place: (connection: ConnectionRecord) => [forwarder: string | undefined, owner: string],
): PlacementThen {
  const byFlow = new Map(connections.map((each) => [flowName(each), place(each)]));
  return {
    forwarder: (flow) => byFlow.get(flow)![0],
    owner: (flow) => byFlow.get(flow)![1],
    ownerAnywhere: (flow) => byFlow.get(flow)![1],
  };
}

function run(connections: readonly ConnectionRecord[], events: readonly Partial<PlayedEvent>[]): Witnessed {
  const same = placement(connections, ({ server }) => ['edge-1', owner(server)]);
  const played = events.map((event, i) => ({
    title: `event ${i}`,
    atMs: 10_000 * (i + 1),
    doneMs: 10_000 * (i + 1) + 1_000,
    before: same,
    after: same,
    hops: { secondHops: 100 * i, thirdHops: 10 * i },
    ...event,
  }));
  const sample: Sample = {
    event: 'sample',
    atMs: 12_000,
    open: 3,
    answers: 7,
    shorts: 0,
    broken: 0,
    slowestMs: 40,
  };
  const hops = { secondHops: 1_000, thirdHops: 50 };
  return { startMs: 0, played, connections, samples: [sample], hops, sentOn: 1_000 };
}

const counts = (of: Witnessed) =>
  judge(of).events.map(({ atRisk, broken, excused }) => [atRisk, broken, excused]);

test('at risk are connections whose slot gets another owner, or which the router sends through another forwarder', () => {
  const all = [connection(ONE), connection(ONE), connection(TWO), connection(TWO)];
  const moved = placement(all, (each) => [
    each === all[0] ? 'edge-2' : 'edge-1',
    each === all[2] ? 'web-1' : owner(each.server),
  ]);
  assert.deepEqual(counts(run(all, [{ after: moved }, {}])), [
    [2, 0, 0],
    [0, 0, 0],
  ]);
});

test('at risk are connections through a forwarder or to a backend that is touched, if they are open then', () => {
  const all = [
    connection(ONE),
    connection(TWO),
    connection(TWO, { openedAtMs: 15_000 }),
    connection(TWO, { kind: 'short', endedAtMs: 9_000 }),
  ];
  assert.deepEqual(counts(run(all, [{ touches: { backend: 'web-2' } }])), [[1, 0, 0]]);
  assert.deepEqual(counts(run(all, [{ touches: { forwarders: ['edge-1'] } }])), [[2, 0, 0]]);
  assert.deepEqual(counts(run(all, [{ touches: { forwarders: ['edge-2'] } }])), [[0, 0, 0]]);
});

test('a connection that ended since is compared by the table of the forwarder that it went through', () => {
  const all = [connection(ONE, { kind: 'short' }), connection(ONE, { kind: 'short' })];
  const after = placement(all, (each) => [undefined, each === all[0] ? 'web-2' : 'web-1']);
  assert.deepEqual(counts(run(all, [{ after }])), [[1, 0, 0]]);
});

test('a broken connection counts for the event in which it began to be broken, be it found out later', () => {
  const all = [connection(ONE, { ...brokenAt(11_000, 'silence for 10 s'), endedAtMs: 21_000 })];
  const verdict = judge(run(all, [{}, {}]));
  assert.deepEqual(
    verdict.events.map(({ broken }) => broken),
    [1, 0],
  );
  assert.equal(passed(verdict, []), false);
  assert.match(
    reportText(verdict, []),
    /^broken: held, web-1\/aa, IPv[46] \d+, silence for 10 s \(event 0\)$/m,
  );
});

test('a crash excuses the connections of its backend from then on, refused ones too, and no others', () => {
  const all = [
    connection(CRASHED, brokenAt(21_000)),
    connection(null, { kind: 'short', openedAtMs: 20_500, ...brokenAt(20_500, 'ECONNREFUSED') }),
    connection(CRASHED, brokenAt(11_000)),
    connection(ONE, brokenAt(22_000)),
  ];
  const of = run(all, [{}, { crashes: 'web-3', touches: { backend: 'web-3' } }]);
  assert.deepEqual(counts(of), [
    [0, 1, 0],
    [1, 3, 2],
  ]);
  const verdict = judge(of);
  assert.equal(passed(verdict, []), false);
  assert.match(
    reportText(verdict, []),
    /^survive: 4 connections, 2 events, 2 broken outside the crashed backend$/m,
  );
  assert.equal(passed(judge(run(all.slice(0, 2), [{}, { crashes: 'web-3' }])), []), true);
});

test('a crash excuses neither the process that is started anew, nor who is refused when all could know', () => {
  const all = [
    connection('web-3/dd', { kind: 'short', openedAtMs: 30_000, ...brokenAt(31_000, 'EOF') }),
    connection(null, { kind: 'short', openedAtMs: 22_000, ...brokenAt(22_000, 'ECONNREFUSED') }),
    connection(null, { kind: 'short', openedAtMs: 20_900, ...brokenAt(20_900, 'ECONNREFUSED') }),
  ];
  assert.deepEqual(counts(run(all, [{}, { crashes: 'web-3' }])).at(-1), [0, 3, 1]);
});

const EXPECTED = { held: 3, shortsPerSecond: 0, answersPerSecond: 0.1, secondChance: true };
/** What the run of these connections through one event, which touches the first one's backend, lacks. */
function lacks(
  connections: readonly ConnectionRecord[],
  change: Partial<typeof EXPECTED> = {},
  event: Partial<PlayedEvent> = {},
): string[] {
  const of = run(connections, [{ touches: { backend: 'web-1' }, ...event }]);
  return shortcomings(judge(of), { ...EXPECTED, ...change });
}
const three = () => [connection(ONE), connection(ONE), connection(TWO)];

test('a run in which all were there, talked and were at risk proves what it says', () => {
  assert.deepEqual(lacks(three()), []);
});

test('a run proves little without connections or events, or with some that were not open all the time', () => {
  const nothing = shortcomings(judge(run([], [])), { ...EXPECTED, held: 0 });
  assert.deepEqual(nothing, ['nothing happened']);
  assert.deepEqual(lacks(three().slice(1)), ['2 connections were held, and not 3']);
  const early = [...three().slice(1), connection(ONE, { endedAtMs: 9_000 })];
  assert.deepEqual(lacks(early), [
    '1 held connections were not open from before the first event to after the last',
  ]);
});

test('a run proves little when connections are silent, short ones are few, or nothing was at risk', () => {
  const silent = [...three().slice(1), connection(ONE, { answers: 1 })];
  assert.deepEqual(lacks(silent), ['a held connection had 0.01 answers a second, and not 0.1']);
  const [few] = lacks(three(), { shortsPerSecond: 20 });
  assert.equal(few, '0.0 short connections began each second, and not 20');
  const idle = lacks(three(), {}, { touches: { backend: 'web-9' } });
  assert.deepEqual(idle, ['event 0: put nothing at risk']);
});

test('a run proves little when the router rehashed few, or nobody was reached by a second hop', () => {
  const all = three();
  const still = lacks(all, {}, { rehashes: true, touches: { backend: 'web-2' } });
  assert.deepEqual(still, ['event 0: 1 of 3 connections went another way']);
  const away = placement(all, (each) => ['edge-1', each === all[0] ? 'web-2' : owner(each.server)]);
  assert.deepEqual(lacks(all, {}, { after: away }), []);
  const without = { ...run(all, [{ after: away }]), hops: { secondHops: 0, thirdHops: 0 } };
  assert.deepEqual(shortcomings(judge(without), EXPECTED), [
    'no packet went on to a second alternate',
    'event 0: 1 connections live elsewhere, and no packet took a second hop',
  ]);
  assert.deepEqual(shortcomings(judge(without), { ...EXPECTED, secondChance: false }), []);
});

test('second and third hops are counted from an event to the next, and the slowest answer is told', () => {
  const { events } = judge(run([connection(ONE)], [{}, {}]));
  assert.deepEqual(
    events.map(({ secondHops, thirdHops, slowestMs }) => [secondHops, thirdHops, slowestMs]),
    [
      [100, 10, 40],
      [900, 40, 0],
    ],
  );
});

test('tables that do not have the connections where they are make a run worthless, and it says so', () => {
  const all = [connection(ONE)];
  const before = placement(all, () => ['edge-1', 'web-2']);
  assert.throws(() => judge(run(all, [{ before }])), /is with web-1\/aa, and its slot is web-2's/);
});

test('a wheel calls on everybody once a turn, however late it is, until they leave', () => {
  const wheel = new Wheel<string>(100, 10, 0);
  const called: string[] = [];
  const turn = (nowMs: number, leaves = ''): string[] => {
    wheel.turn(nowMs, (name) => {
      called.push(name);
      return name !== leaves;
    });
    return called.splice(0);
  };
  wheel.add('a');
  assert.deepEqual(turn(50), []);
  wheel.add('b');
  assert.deepEqual(turn(100), ['a']);
  assert.deepEqual(turn(145), []);
  assert.deepEqual(turn(5_000), ['b', 'a']);
  assert.deepEqual(turn(5_099, 'a').toSorted(), ['a', 'b']);
  assert.deepEqual(turn(5_210), ['b']);
});

test('lines are put together from pieces, and an answer shows who gave it and how many it has had', () => {
  const lines = new Lines();
  assert.deepEqual(lines.take('web-1/aa n 1\nweb-1/a'), ['web-1/aa n 1']);
  assert.deepEqual(lines.take('a n 2\n'), [answer('web-1/aa', 'n', 2).trimEnd()]);
  assert.throws(() => lines.take('x'.repeat(1_000)), /a line without an end/);
});
