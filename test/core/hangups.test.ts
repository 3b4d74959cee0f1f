/** SIGHUP, whenever it comes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import { Hangups } from '#anyhop/core/hangups.js';

async function hangUp(): Promise<void> {
  const awake = setInterval(() => undefined, 1_000); // a signal that is awaited keeps no process running
  const came = once(process, 'SIGHUP');
  process.kill(process.pid, 'SIGHUP');
  await came;
  clearInterval(awake);
}

it('remembers a SIGHUP that comes before there is a handler, and takes many that come during one as one', async () => {
  const hangups = new Hangups();
  await hangUp();
  let count = 0;
  let end = (): void => undefined;
  hangups.handle(() => {
    count++;
    return new Promise<void>((resolve) => {
      end = resolve;
    });
  });
  await undefined;
  assert.equal(count, 1);
  await hangUp();
  await hangUp();
  end();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(count, 2);
  await hangUp();
  const closed = hangups.close();
  end();
  await closed;
  assert.equal(count, 2, 'none is handled after the close');
});
