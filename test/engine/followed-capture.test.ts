/** A capture over interfaces that go down, come up, and are gone, as a test plays them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnyhopError } from '#anyhop/core/errors.js';
import { createLog } from '#anyhop/core/log.js';
import { FollowedCapture } from '#anyhop/engine/portable/followed-capture.js';
import type { InterfaceState } from '#anyhop/ffi/shielded-socket.js';

function setUp() {
  const world: { state: InterfaceState; openMax: number; opened: number; tries: number; open: Set<number> } =
    {
      state: 'up',
      openMax: 2,
      opened: 0,
      tries: 0,
      open: new Set(),
    };
  const lost: string[] = [];
  const capture = new FollowedCapture({
    interface: 'eth0',
    log: createLog('silent'),
    open() {
      world.tries++;
      if (world.open.size >= world.openMax || world.state !== 'up')
        throw new AnyhopError('ERR_INTERFACE', 'cannot be opened');
      const number = world.opened++;
      world.open.add(number);
      return { interfaceState: () => world.state, close: () => void world.open.delete(number) };
    },
    lost: ({ message, exitCode }) => void lost.push(`${message}, exit code ${exitCode}`),
  });
  return { world, capture, lost };
}

describe('a capture', () => {
  it('is replaced without a gap, and only one is left open', () => {
    const { world, capture } = setUp();
    capture.replace();
    capture.look();
    assert.deepEqual([...world.open], [1]);
    assert.equal(capture.detached, undefined);
    capture.close();
    assert.equal(world.open.size, 0);
  });

  it('says that its interface is down for as long as it is, and goes on then', () => {
    const { world, capture, lost } = setUp();
    world.state = 'down';
    capture.look();
    assert.equal(capture.detached, 'the interface eth0 is down');
    world.state = 'up';
    capture.look();
    assert.equal(capture.detached, undefined);
    assert.deepEqual([[...world.open], lost], [[0], []]);
  });

  it('that cannot be replaced while its interface is down is replaced once it is up', () => {
    const { world, capture, lost } = setUp();
    world.state = 'down';
    capture.replace();
    capture.look();
    assert.deepEqual([[...world.open], lost], [[0], []]);
    world.state = 'up';
    capture.look();
    capture.look();
    assert.deepEqual([[...world.open], lost], [[1], []]);
  });

  it('that cannot be replaced beside the old one is replaced after it', () => {
    const { world, capture, lost } = setUp();
    world.openMax = 1; // descriptors for one
    capture.replace();
    assert.deepEqual([[...world.open], capture.detached, lost], [[1], undefined, []]);
  });

  it('that cannot be opened at all says why, is tried again each second, and ends the engine after ten tries', () => {
    const { world, capture, lost } = setUp();
    const startMs = performance.now();
    const look = (seconds: number): void => capture.look(startMs + 1001 * seconds + 500);
    world.openMax = 0;
    capture.replace();
    assert.equal(capture.detached, 'cannot be opened');
    assert.equal(world.tries, 3);
    look(0);
    assert.equal(world.tries, 3);
    for (let second = 1; second < 9; second++) look(second);
    assert.deepEqual([world.tries, lost], [11, []]);
    look(9);
    assert.deepEqual(lost, ['cannot be opened, exit code 1']);
    look(10);
    assert.equal(world.tries, 12);

    const back = setUp();
    back.world.openMax = 0;
    back.capture.replace();
    back.world.openMax = 1;
    back.capture.look(performance.now() + 1500);
    assert.deepEqual([[...back.world.open], back.capture.detached, back.lost], [[1], undefined, []]);
  });

  it('ends the engine when its interface is gone', () => {
    const { world, capture, lost } = setUp();
    world.state = 'gone';
    capture.look();
    capture.look();
    assert.deepEqual(lost, ['the interface eth0 is gone, exit code 1']);
    assert.equal(world.open.size, 0);
  });
});
