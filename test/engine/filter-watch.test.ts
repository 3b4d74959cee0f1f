/** The portable engine's filter, looked after: what it counted is not lost with it, and trouble is told once. */
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { Logger } from '#anyhop/core/log.js';
import type { DroppedPackets } from '#anyhop/engine/host-filter.js';
import { FilterWatch } from '#anyhop/engine/portable/filter-watch.js';

const open: FilterWatch[] = [];
afterEach(async () => {
  for (const watch of open.splice(0)) await watch.close();
});

function setUp() {
  const state: { now: DroppedPackets | undefined; failure?: Error; putBack: number } = {
    now: { arrived: 0, elsewhere: 0 },
    putBack: 0,
  };
  const events: string[] = [];
  const told = ({ event }: { event: string }): void => void events.push(event);
  const watch = new FilterWatch({
    interface: 'eth0',
    log: { info: told, warn: told, error: told } as unknown as Logger,
    read: async () => {
      if (state.failure !== undefined) throw state.failure;
      return state.now;
    },
    putBack: async () => {
      state.putBack++;
      state.now = { arrived: 0, elsewhere: 0 };
    },
  });
  open.push(watch);
  return { state, events, watch };
}

describe('the host filter of the portable engine', () => {
  it('is put back when it is gone, counts on from where it was, and is there again when it has stayed', async () => {
    const { state, events, watch } = setUp();
    state.now = { arrived: 10, elsewhere: 2 };
    await watch.look();
    assert.deepEqual([watch.dropped, watch.detached], [{ arrived: 10, elsewhere: 2 }, undefined]);
    state.now = undefined;
    await watch.look();
    assert.match(watch.detached ?? '', /was taken off eth0/);
    assert.equal(state.putBack, 1);
    state.now = { arrived: 5, elsewhere: 1 };
    await watch.look();
    assert.deepEqual(watch.dropped, { arrived: 15, elsewhere: 3 });
    const { now } = performance;
    try {
      performance.now = () => now.call(performance) + 1_000;
      await watch.look();
    } finally {
      performance.now = now;
    }
    assert.equal(watch.detached, undefined);
    assert.deepEqual(events, ['detached', 'attached_again']);
  });

  it('is not taken for gone when it cannot be looked at, which is told once', async () => {
    const { state, events, watch } = setUp();
    state.failure = new Error('spawn nft EMFILE');
    await watch.look();
    await watch.look();
    assert.deepEqual([watch.detached, state.putBack, events], [undefined, 0, ['filter_unknown']]);
  });
});
