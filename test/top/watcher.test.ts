/** Nodes are asked each for itself: one that hangs keeps nobody waiting and is not asked twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deferred } from '#anyhop/core/deferred.js';
import { Watcher } from '#anyhop/top/watcher.js';
import { fleetView } from '#anyhop/view/fleet.js';
import { nodeStatus } from '../node/node-status.js';

test('a node that hangs grows stale while others answer, and is not asked again before it has ended', async () => {
  const hanging = deferred<unknown>();
  const enough = deferred<void>();
  let asked = 0;
  let answers = 0;
  const watcher = new Watcher(
    [
      { label: 'edge-1', ask: async () => nodeStatus({ node: 'edge-1' }) },
      {
        label: 'edge-2',
        ask: async () => (++asked === 1 ? nodeStatus({ node: 'edge-2' }) : hanging.promise),
      },
    ],
    1,
    () => {
      if (++answers === 20) enough.resolve();
    },
  );
  await watcher.once();
  watcher.start();
  await enough.promise;
  const seen = watcher.seen();
  watcher.close();
  hanging.resolve(nodeStatus());
  assert.equal(asked, 2);
  assert.ok(seen[0].answer!.at >= seen[1].answer!.at);
  const later = fleetView(seen, seen[1].answer!.at + 3001, { staleAfterMs: 3000 });
  assert.equal(later.nodes[1].state, 'silent');
  assert.deepEqual(later.nodes[1].reasons, []);
});

test('what none of the nodes answers ends the first look with the reason of the first', async () => {
  const fails = (label: string) => ({
    label,
    ask: async () => {
      throw new Error(`${label} is away`);
    },
  });
  await assert.rejects(new Watcher([fails('a'), fails('b')], 1).once(), /a is away/);
  const watcher = new Watcher([fails('a'), { label: 'b', ask: async () => nodeStatus() }], 1);
  await watcher.once();
  assert.deepEqual(
    watcher.seen().map(({ silence }) => silence),
    ['a is away', undefined],
  );
});
