/** Every benchmark still runs: all of them, tiny, by the runner that `make bench` uses. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../bench/', import.meta.url));
const RUN = `${FOLDER}run.js`;
const HELPERS = ['run.js', 'report.js', 'alone.js', 'page.js'];
const TIMEOUT_MS = 500_000;

function runBench(...args: string[]) {
  return spawnSync(process.execPath, [RUN, ...args], { encoding: 'utf8', timeout: TIMEOUT_MS });
}

test('every benchmark runs, prints JSON lines and names what it could not measure', () => {
  const { status, stdout, stderr } = runBench('--quick', '--json', '--steps');
  assert.equal(status, 0, stderr);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const benches = readdirSync(FOLDER).filter((file) => file.endsWith('.js') && !HELPERS.includes(file));
  assert.ok(lines.length >= benches.length);
  for (const { bench, value, unit, skipped } of lines) {
    // A difference of times may come out below nothing.
    assert.equal(typeof bench, 'string');
    if (skipped === undefined)
      assert.ok(Number.isFinite(value) && (value >= 0 || unit === 'ns') && unit !== '', bench);
    else assert.match(skipped, /^needs /);
  }
});
