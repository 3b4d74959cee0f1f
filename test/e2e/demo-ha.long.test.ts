/** The demo of routing daemons ends with nothing broken, and nothing of it outlives it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BIRD_TOOLS } from '../../scripts/lab/ha/bird.js';
import { KEEPALIVED_TOOLS } from '../../scripts/lab/ha/keepalived.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { leftInTheEnd, startDemo } from './running-demo.js';

/** Far more than the two minutes that it may take on a machine that does nothing else. */
const TIMEOUT_MS = 400_000;

const skip = missingForLab([...BIRD_TOOLS, ...KEEPALIVED_TOOLS])?.message ?? false;

test('the demo of routing daemons breaks no connection, and the router knows of each event', {
  skip,
  timeout: TIMEOUT_MS,
}, async () => {
  const { demo, lines, labName, ended } = startDemo('demo-ha');
  try {
    const [code] = await ended;
    const text = lines.join('\n');
    assert.equal(code, 0, text);
    assert.match(lines.at(-1)!, /^demo-ha: 15 events, \d{4} connections, 0 broken, \d+ answers, /);
    assert.equal(lines.filter((line) => line.startsWith('demo-ha:')).length, 1, text);
    assert.deepEqual(await leftInTheEnd(labName), []);
  } finally {
    demo.kill('SIGKILL');
  }
});
