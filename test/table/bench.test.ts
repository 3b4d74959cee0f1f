import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the bench of tables runs, and prints one measurement with a hash a line', () => {
  const bench = fileURLToPath(new URL('../../bench/table.js', import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [bench, '--quick'], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  assert.equal(status, 0);
  const measurements = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(measurements.length, 6);
  for (const { bench: name, value, unit, note } of measurements) {
    assert.ok(value > 0 && unit === 'ms', name);
    assert.match(note, /^hash [0-9a-f]{16}$/);
  }
});
