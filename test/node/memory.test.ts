/** What a node takes over from a process before it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '#anyhop/core/log.js';
import { withSources } from '#anyhop/node/memory.js';
import { parseAddress } from '#anyhop/packet/address.js';
import { plan, startChanges } from '#anyhop/pool/change.js';
import { readMemory, writeMemory } from '#anyhop/pool/change-file.js';
import { drainsSinceMs, memoryOf, NO_POOLS, take } from '#anyhop/pool/membership.js';
import { NODE, parse } from '../config/fixture.js';
import { clocksAt, member } from '../pool/change-fixture.js';

const log = createLog('silent');
const over6 = [member('a', { address: parseAddress('fd00::1')! })];
const over4 = [member('a'), member('b')];

describe('the memory of a node', () => {
  it('of members that the node has no source for any more is not used; that of others is', () => {
    const only4 = {
      ...parse(
        `${NODE}pools: {web: {backends: [{name: a, address: 10.1.0.1}]}}
services: [{name: web, vip: 203.0.113.10, protocol: tcp, port: 80, pool: web}]
`,
        'run',
      ).node,
      source6: undefined,
    };
    const was6 = startChanges({ members: over6 }, 1000, 0);
    const memory = new Map([
      ['inForce', memoryOf(was6)],
      [
        'queued',
        memoryOf(
          plan(
            plan(startChanges({ members: over4 }, 1000, 0), { members: [member('a')] }, 1),
            { members: over6 },
            2,
          ),
        ),
      ],
      ['past', memoryOf(plan(was6, { members: over4 }, 1))],
      ['good', memoryOf(startChanges({ members: over4 }, 1000, 0))],
    ]);
    assert.deepEqual([...withSources(memory, only4, log).keys()], ['past', 'good']);
  });

  it('moves all its times back when the clock was set back, and knows none that is yet to come', () => {
    const changes = startChanges({ members: over4 }, 1000, 9_000);
    const overrides = [{ backend: 'a', weight: 2, sinceMs: 8_000 }];
    const drainingSinceMs = { a: 7_000, b: 99_000 };
    const agentDrains = [{ address: '10.1.0.1', isAsked: true }];
    const kept = { changes, overrides, agentDrains, drainingSinceMs };
    const text = writeMemory(new Map([['web', kept]]), clocksAt(9_000));
    const read = readMemory(text, clocksAt(4_000)).get('web')!;
    assert.equal(read.changes.nowMs, 4_000);
    assert.equal(read.overrides[0].sinceMs, 3_000);
    assert.deepEqual(read.agentDrains, agentDrains);
    assert.deepEqual(read.drainingSinceMs, { a: 2_000, b: 4_000 });
  });

  it('takes no name for a time: a backend may be called constructor', () => {
    const file = parse(
      'pools: {web: {backends: [{name: constructor, address: 10.1.0.1}, {name: toString, address: 10.1.0.2, state: draining}]}}\n',
      'pools',
    );
    const web = take(NO_POOLS, file.pools, { force: false, nowMs: 5_000 }).get('web')!;
    assert.equal(drainsSinceMs(web, 'constructor'), undefined);
    assert.equal(drainsSinceMs(web, 'toString'), 5_000);
  });
});
