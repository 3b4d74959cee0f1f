/** The demo of the fleet ends with nothing broken and the same tables everywhere, and nothing of it outlives it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BIRD_TOOLS } from '../../scripts/lab/ha/bird.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { interruptDemo, leftInTheEnd, startDemo } from './running-demo.js';

/** Far more than it may take on a machine that does nothing else. */
const TIMEOUT_MS = 600_000;
const SMALL = ['--forwarders', '3', '--backends', '3'];

const skip = missingForLab([...BIRD_TOOLS, 'etcd', 'etcdctl'])?.message ?? false;

test('the demo of the fleet breaks no connection, and all nodes have the same tables after each change', {
  skip,
  timeout: TIMEOUT_MS,
}, async () => {
  const { demo, lines, labName, ended } = startDemo('demo-fleet', SMALL);
  try {
    const [code] = await ended;
    const text = lines.join('\n');
    assert.equal(code, 0, text);
    assert.match(lines.at(-1)!, /^demo-fleet: 7 changes, 0 broken, digests equal 10 times$/);
    assert.equal(lines.filter((line) => line.startsWith('demo-fleet:')).length, 1, text);
    assert.deepEqual(await leftInTheEnd(labName), []);
  } finally {
    demo.kill('SIGKILL');
  }
});

test(
  'Ctrl-C removes everything that the demo of the fleet made, etcd included',
  {
    skip,
    timeout: TIMEOUT_MS,
  },
  () => interruptDemo('demo-fleet', SMALL),
);
