/** Times as people read them: one form for how long, one for when, everywhere. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { clockTime } from '#anyhop/core/time.js';

describe('a moment', () => {
  const now = new Date(2024, 4, 1, 12, 0, 0);

  test('of today is its time of day, and one of another day has the day before it', () => {
    assert.equal(clockTime(new Date(2024, 4, 1, 9, 5, 7).toISOString(), now), '09:05:07');
    assert.equal(clockTime(new Date(2024, 3, 30, 23, 59, 59).toISOString(), now), '2024-04-30 23:59:59');
  });
});

// Measured times have fractions: core/figures.ts gives them their one form.
test('no message writes a time in another form', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && name !== 'core/figures.ts',
  );
  const found = files.flatMap((name) =>
    readFileSync(join('src', name), 'utf8')
      .split('\n')
      .filter(
        (line) =>
          /\}( ms| s| min| seconds| minutes)\b[^`]*`/.test(line) ||
          /`[^`]*\$\{[^}]*toISOString\(\)\}/.test(line),
      )
      .map((line) => `${name}: ${line.trim()}`),
  );
  assert.deepEqual(found, []);
});
