/** The budgets of answers in C: what they say to any clients at any times is what TypeScript's say. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { L } from '#anyhop/core/layout.gen.js';
import { budgetAdmits, makeLimiter, TOO_BIG_BUDGET } from '#anyhop/forward/budget.js';
import { devLibrary } from '../../scripts/native/object.js';
import { Random, seedOfRun } from './random.js';

const PACKETS = 400_000;

it('a budget in C admits the same packets as TypeScript’s: few and many clients, any rates, ticks that pass and jump', () => {
  const seed = seedOfRun();
  const random = new Random(seed);
  for (const clients of [3, 500, 30_000, 2_000_000]) {
    for (const forClient of [L.BUDGET_TOO_BIG, L.BUDGET_ECHO, 31]) {
      const hashes = Buffer.alloc(PACKETS * 4);
      const ticks = Buffer.alloc(PACKETS * 4);
      let tick = random.below(2 ** 32);
      const known = Array.from({ length: Math.min(clients, 30_000) }, () => random.below(2 ** 32));
      for (let i = 0; i < PACKETS; i++) {
        const dice = random.below(10_000);
        if (dice < 10) tick += 1 + random.below(40);
        else if (dice === 10) tick += random.below(2 ** 32); // forwards or back
        tick >>>= 0;
        // Some send much more than others.
        const who = Math.min(random.below(known.length), random.below(known.length));
        hashes.writeUInt32LE(clients > known.length ? random.below(2 ** 32) : known[who], i * 4);
        ticks.writeUInt32LE(tick, i * 4);
      }
      const out = Buffer.alloc(PACKETS);
      devLibrary.call('ERR_NATIVE', 'anyhop_dev_budget', hashes, ticks, PACKETS, forClient, out);
      const words = makeLimiter();
      let admitted = 0;
      for (let i = 0; i < PACKETS; i++) {
        const [hash, at] = [hashes.readInt32LE(i * 4), ticks.readInt32LE(i * 4)];
        const admits = budgetAdmits(words, TOO_BIG_BUDGET, hash, at, forClient);
        admitted += admits ? 1 : 0;
        if (admits !== (out[i] === 1))
          assert.fail(`packet ${i} of ${clients} clients, ${forClient} each: ${out[i]} in C; seed ${seed}`);
      }
      // Thousands of clients may stay within the budget, each within its own.
      const isDecided = admitted > 0 && (clients > 500 || admitted < PACKETS);
      assert.ok(isDecided, `${admitted} of ${PACKETS} admitted: nothing was decided; seed ${seed}`);
    }
  }
});
