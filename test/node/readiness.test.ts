/** Who is told when a node is not to be sent traffic any more. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { NodeReadiness } from '#anyhop/node/readiness.js';
import type { Link } from '#anyhop/underlay/link.js';
import { type Logged, recordingLog } from '../fleet/fleet.js';

it('tells those who follow the node when its fleet has another revision, and when it has not', () => {
  let behind: string | undefined;
  let told = 0;
  const logged: Logged[] = [];
  const readiness = new NodeReadiness({
    node: 'edge-1',
    interface: 'eth0',
    log: recordingLog(logged),
    services: [],
    noWay: () => undefined,
    behind: () => behind,
    changed: () => told++,
  });
  readiness.sawLinks(new Map([['eth0', { name: 'eth0', isUp: true, hasCarrier: true } as Link]]));
  for (const step of ['nextHops', 'health', 'engine'] as const) readiness.passed(step);
  readiness.follow(() => ({ services: [], pools: [], detached: undefined }), {});
  try {
    const before = told;
    readiness.look();
    assert.equal(told, before, 'nothing has changed');
    behind = 'revision 2 is in force in the fleet, and 1 here';
    readiness.look();
    assert.equal(told, before + 1);
    assert.deepEqual(readiness.nodeReasons(), [behind]);
    behind = undefined;
    readiness.look();
    assert.equal(told, before + 2);
  } finally {
    readiness.close();
  }
});
