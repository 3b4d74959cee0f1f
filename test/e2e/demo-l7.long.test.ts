/** The demo of layer 7 ends without a failed request, and nothing of it outlives it, also when it is interrupted. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { L7_TOOLS } from '../../scripts/lab/l7/lab.js';
import { missingForLab } from '../../scripts/lab/lab.js';
import { interruptDemo, leftInTheEnd, startDemo } from './running-demo.js';

/** Far more than the two minutes that it may take on a machine that does nothing else. */
const TIMEOUT_MS = 400_000;

const skip = missingForLab(L7_TOOLS)?.message ?? false;

test('the demo of layer 7 ends with 0 failed requests, and only the killed HAProxy takes some along', {
  skip,
  timeout: TIMEOUT_MS,
}, async () => {
  const { demo, lines, labName, ended } = startDemo('demo-l7');
  try {
    const [code] = await ended;
    const text = lines.join('\n');
    assert.equal(code, 0, text);
    assert.match(
      text,
      /^demo-l7: \d+ requests, 0 failed, \d+ connections, 2 forwarders, 2 proxies, 4 servers, 10 reloads, 1 drain$/m,
    );
    assert.match(lines.at(-1)!, /^demo-l7: kill -9 of HAProxy on proxy-1: .*, 0 elsewhere$/);
    assert.deepEqual(await leftInTheEnd(labName), []);
  } finally {
    demo.kill('SIGKILL');
  }
});

test(
  'Ctrl-C removes everything that the demo of layer 7 made, HAProxy included',
  {
    skip,
    timeout: TIMEOUT_MS,
  },
  () => interruptDemo('demo-l7'),
);
