/** A program of the lab is stopped in time, whatever it has started itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Resources } from '../../scripts/lab/resources.js';
import { missingForIsolation } from '../isolation.js';

const TIMEOUT_MS = 20_000;

test('a program that does not end is killed, although another one that it has started keeps its output open', {
  skip: missingForIsolation(),
  timeout: TIMEOUT_MS,
}, async () => {
  const resources = new Resources();
  try {
    const namespace = resources.addNamespace('stubborn');
    const script = 'trap "" TERM; setsid sleep 1000 & echo started; while :; do sleep 1; done';
    const stubborn = await resources.startProcess('stubborn', namespace, ['sh', '-c', script]);
    await stubborn.waitForLine((line) => line === 'started', 'line', TIMEOUT_MS);
    const { signal } = await stubborn.stop('SIGTERM', 100);
    assert.equal(signal, 'SIGKILL');
  } finally {
    await resources.close();
  }
});
