/** A capture over interfaces that go down, come up, and are gone, as a test plays them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnyhopError } from '#anyhop/core/errors.js';
import { createLog } from '#anyhop/core/log.js';
import { FollowedCapture } from '#anyhop/engine/portable/followed-capture.js';
import type { InterfaceState } from '#anyhop/ffi/shielded-socket.js';

function setUp() {
  const world: { state: InterfaceState; refuses: boolean; opened: number; tries: number; open: Set<number> } =
    {
      state: 'up',
      refuses: false,
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
      if (world.refuses || world.state !== 'up') throw new AnyhopError('ERR_INTERFACE', 'cannot be opened');
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

  it('ends when it cannot be replaced though the interface is up, or when the interface is gone', () => {
    const refused = setUp();
    refused.world.refuses = true;
    refused.capture.replace();
    assert.deepEqual(refused.lost, ['cannot be opened, exit code 1']);
    assert.equal(refused.world.open.size, 0);
    assert.equal(refused.world.tries, 4);
    const gone = setUp();
    gone.world.state = 'gone';
    gone.capture.look();
    gone.capture.look();
    assert.deepEqual(gone.lost, ['the interface eth0 is gone, exit code 1']);
    assert.equal(gone.world.open.size, 0);
  });
});
