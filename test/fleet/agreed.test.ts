/** What nodes see together: laws over any views, with nodes that lie, that are late, and that have no store. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Agreement, agreedReason, type HealthView, seenDown } from '#anyhop/fleet/agreed.js';

const NAMES = ['a/1', 'a/2', 'b/1'];
const NODES_MAX = 8;

const downs = fc.uniqueArray(fc.constantFrom(...NAMES)).map((names) => new Set(names));
/** What each node of a fleet sees down, by its number. */
const fleet = fc.array(downs, { minLength: 2, maxLength: NODES_MAX });

function views(seen: readonly ReadonlySet<string>[], revision = 1): HealthView[] {
  return seen.map((down, i) => ({ node: `edge-${i}`, revision, down }));
}

/** What a node that has all views makes of them: the names that are down. */
function marksOf(all: readonly HealthView[], self: number): string[] {
  const agreement = new Agreement(all.filter((_, i) => i !== self));
  return NAMES.filter((name) => !agreement.of(name, 1, !all[self]!.down.has(name)).isUp);
}

describe('the agreement of nodes', () => {
  it('is the same on every node that has the same views: down by more than half, else up', () => {
    fc.assert(
      fc.property(fleet, (seen) => {
        const expected = NAMES.filter(
          (name) => 2 * seen.filter((down) => down.has(name)).length > seen.length,
        );
        const all = views(seen);
        for (const self of seen.keys()) assert.deepEqual(marksOf(all, self), expected);
        assert.deepEqual(
          seenDown(all).flatMap(({ backend, isUp }) => (isUp ? [] : backend)),
          expected,
        );
      }),
    );
  });

  it('does not depend on the order in which views came', () => {
    fc.assert(
      fc.property(fleet, fc.infiniteStream(fc.nat()), (seen, keys) => {
        const [own, ...others] = views(seen) as [HealthView, ...HealthView[]];
        const shuffled = others
          .map((view) => [keys.next().value as number, view] as const)
          .sort(([a], [b]) => a - b)
          .map(([, view]) => view);
        for (const name of NAMES)
          assert.deepEqual(
            new Agreement(shuffled).of(name, 1, !own.down.has(name)),
            new Agreement(others).of(name, 1, !own.down.has(name)),
          );
      }),
    );
  });

  it('is what the others see when one of three or more lies or is blind', () => {
    fc.assert(
      fc.property(downs, downs, fc.integer({ min: 3, max: NODES_MAX }), (truth, lie, count) => {
        const all = views([lie, ...Array<Set<string>>(count - 1).fill(truth)]);
        for (const self of all.keys())
          assert.deepEqual(
            marksOf(all, self),
            NAMES.filter((name) => truth.has(name)),
          );
      }),
    );
  });

  it('is the own view of a node that has no other', () => {
    fc.assert(
      fc.property(downs, (own) => {
        const alone = views([own]);
        assert.deepEqual(
          marksOf(alone, 0),
          NAMES.filter((name) => own.has(name)),
        );
        for (const name of NAMES) {
          const reason = own.has(name) ? 'refused' : undefined;
          const agreed = new Agreement([]).of(name, 1, reason === undefined);
          assert.equal(agreedReason(reason, agreed), reason);
        }
      }),
    );
  });

  it('changes once while all nodes come to see a change, in whatever order each learns of the others', () => {
    const deliveries = (count: number) =>
      fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(
        fc
          .integer({ min: 2, max: NODES_MAX })
          .chain((count) => fc.tuple(fc.constant(count), deliveries(count))),
        fc.boolean(),
        ([count, steps], goesDown) => {
          const [name] = NAMES as [string];
          const [from, to] = goesDown
            ? [new Set<string>(), new Set([name])]
            : [new Set([name]), new Set<string>()];
          const told = Array<Set<string>>(count).fill(from);
          /** By node: what it knows of each. */
          const known = told.map(() => [...told]);
          const changes = Array<number>(count).fill(0);
          const marks = known.map((all, self) => marksOf(views(all), self).length);
          for (const [reader, teller] of steps) {
            known[teller]![teller] = to; // what a node sees itself it need not read
            told[teller] = to;
            known[reader]![teller] = told[teller];
            for (const self of [reader, teller]) {
              const mark = marksOf(views(known[self]!), self).length;
              if (mark !== marks[self]) changes[self]!++;
              marks[self] = mark;
            }
          }
          for (const each of changes) assert.ok(each <= 1);
        },
      ),
    );
  });

  it('does not count a view by a revision that did not have the backend yet', () => {
    const [old, other] = [
      { node: 'old', revision: 4, down: new Set<string>() },
      { node: 'other', revision: 5, down: new Set(['a/1']) },
    ];
    assert.deepEqual(new Agreement([old, other]).of('a/1', 5, false), {
      isUp: false,
      others: ['other'],
      down: 2,
      of: 2,
    });
    assert.equal(new Agreement([old]).of('a/1', 5, false).isUp, false, 'by the own view alone');
    const [before] = [{ ...old, down: new Set(['a/1']) }];
    assert.equal(new Agreement([before, other]).of('a/1', 5, true).down, 1, 'it was another backend then');
  });

  it('is told with the own reason first', () => {
    const two = views([new Set(['a/1']), new Set(['a/1']), new Set()]);
    const text = (self: number, own?: string): string | undefined =>
      agreedReason(own, new Agreement(two.filter((_, i) => i !== self)).of('a/1', 1, own === undefined));
    assert.equal(text(0, 'refused'), 'refused; 2 of 3 nodes see it down');
    assert.equal(text(2), '2 of 3 nodes see it down (edge-0, edge-1), and this one does not');
    const one = new Agreement(views([new Set(), new Set()]));
    assert.equal(
      agreedReason('refused', one.of('a/1', 1, false)),
      'refused; it counts as up all the same, since only 1 of 3 nodes sees it down',
    );
    assert.equal(agreedReason(undefined, one.of('a/1', 1, true)), undefined);
  });
});
