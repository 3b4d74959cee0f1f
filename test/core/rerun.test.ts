/** Tasks that run again when they are asked for while they run. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Rerun } from '#anyhop/core/rerun.js';

it('a task runs one at a time, and whoever asks gets a run that begins after that', async () => {
  const turns = fc.integer({ min: 0, max: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ askAfter: turns, runFor: turns }), { minLength: 1, maxLength: 12 }),
      async (asks) => {
        let asked = 0;
        let runs = 0;
        let running = 0;
        const rerun = new Rerun(async () => {
          assert.equal(++running, 1, 'one at a time');
          const seen = asked;
          const { runFor } = asks[runs++ % asks.length];
          for (let turn = 0; turn < runFor; turn++) await undefined;
          running--;
          return seen;
        });
        const answers: Promise<void>[] = [];
        for (const { askAfter } of asks) {
          for (let turn = 0; turn < askAfter; turn++) await undefined;
          const number = ++asked;
          answers.push(rerun.ask().then((seen) => assert.ok(seen >= number, `${seen} of ${number}`)));
        }
        await rerun.idle();
        assert.equal(running, 0);
        await Promise.all(answers);
        assert.ok(runs <= asks.length, 'no run that nobody asked for');
      },
    ),
  );
});

it('what is asked for in one turn is one run', async () => {
  let runs = 0;
  const rerun = new Rerun(async () => void runs++);
  await Promise.all([rerun.ask(), rerun.ask(), rerun.ask()]);
  assert.equal(runs, 1);
});
