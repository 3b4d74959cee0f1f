/** The demo of floods, in its short form, ends with no connection failed, and nothing of it outlives it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingForLab } from '../../scripts/lab/lab.js';
import { leftInTheEnd, startDemo } from './running-demo.js';

/** Far more than it takes on a machine that does nothing else. */
const TIMEOUT_MS = 180_000;
const skip = missingForLab()?.message ?? false;

test('the demo of floods fails no connection with the defence on', {
  skip,
  timeout: TIMEOUT_MS,
}, async () => {
  const { demo, lines, labName, ended } = startDemo('demo-flood', ['--short', '--defend', 'on']);
  try {
    const [code] = await ended;
    const text = lines.join('\n');
    assert.equal(code, 0, text);
    assert.match(
      lines.at(-1)!,
      /^demo-flood: \d{3,} real connections, 0 failed, [\d.]+ million packets absorbed$/,
    );
    assert.deepEqual(await leftInTheEnd(labName), []);
  } finally {
    demo.kill('SIGKILL');
  }
});
