/** Tasks that must not overlap. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SerialQueue } from '#anyhop/core/serial-queue.js';

describe('a serial queue', () => {
  it('starts a task when the one before has ended, whichever way', async () => {
    const queue = new SerialQueue();
    const events: string[] = [];
    const task = (name: string, fails: boolean) => async (): Promise<string> => {
      events.push(`${name} starts`);
      await new Promise((resolve) => setImmediate(resolve));
      events.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    };
    const [a, b] = [queue.add(task('a', true)), queue.add(task('b', false))];
    await assert.rejects(a, { message: 'a' });
    assert.equal(await b, 'b');
    assert.deepEqual(events, ['a starts', 'a ends', 'b starts', 'b ends']);
  });

  it('is idle when its tasks have ended, and when it never had one', async () => {
    const queue = new SerialQueue();
    await queue.idle();
    let isDone = false;
    const failed = assert.rejects(
      queue.add(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        isDone = true;
        throw new Error('no');
      }),
    );
    await queue.idle();
    assert.equal(isDone, true);
    await failed;
  });
});
