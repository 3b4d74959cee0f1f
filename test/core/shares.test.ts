/** Shares of a limited number of places: laws that hold whoever comes and goes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Shares } from '#anyhop/core/shares.js';

const MAX = 12;
const MAX_EACH = 4;

test('whoever comes gets a place, and the one that leaves for it is the oldest of whoever has the most', () => {
  const step = fc.record({ owner: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), leaves: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const shares = new Shares<number>(MAX, MAX_EACH);
      /** The oldest first. */
      const held: { owner: string; one: number }[] = [];
      const of = (owner: string) => held.filter((each) => each.owner === owner);
      for (const [one, { owner, leaves }] of steps.entries()) {
        if (leaves) {
          const [oldest] = of(owner);
          if (oldest === undefined) continue;
          shares.leave(owner, oldest.one);
          shares.leave(owner, oldest.one); // twice is once
          held.splice(held.indexOf(oldest), 1);
          continue;
        }
        const isFull = of(owner).length === MAX_EACH || held.length === MAX;
        const gone = shares.enter(owner, one);
        assert.equal(gone !== undefined, isFull, 'somebody leaves when there is no room, and only then');
        if (gone !== undefined) {
          const payer = held.find((each) => each.one === gone)!;
          assert.equal(of(payer.owner)[0], payer, 'its oldest');
          assert.ok(
            payer.owner === owner || of(payer.owner).length > of(owner).length,
            'nobody pays for a richer one',
          );
          const most = Math.max(...held.map((each) => of(each.owner).length));
          assert.ok(payer.owner === owner || of(payer.owner).length === most);
          held.splice(held.indexOf(payer), 1);
        }
        held.push({ owner, one });
        assert.ok(held.length <= MAX && of(owner).length <= MAX_EACH);
      }
    }),
  );
});

test('whoever enters again takes no second place, however often', () => {
  const shares = new Shares<string>(MAX, MAX_EACH);
  for (let i = 0; i < 2 * MAX; i++) assert.equal(shares.enter('a', 'one'), undefined);
  for (let i = 0; i < MAX_EACH; i++) shares.enter('b', `b${i}`);
  for (let i = 0; i < 2; i++) assert.equal(shares.enter('b', `b${i}`), undefined, 'full, and its own');
  shares.leave('a', 'one');
  for (const owner of ['c', 'd'])
    for (let i = 0; i < MAX_EACH; i++)
      assert.equal(shares.enter(owner, `${owner}${i}`), undefined, 'there is room for all of them');
});
