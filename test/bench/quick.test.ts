/** Every benchmark still runs: all of them, tiny, by the runner that `make bench` uses. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MICRO, rowsOfPage } from '../../bench/page.js';

const FOLDER = fileURLToPath(new URL('../../bench/', import.meta.url));
const RUN = `${FOLDER}run.js`;
const HELPERS = ['run.js', 'report.js', 'alone.js', 'page.js'];
const TIMEOUT_MS = 300_000;

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

test('without --json there is a table with targets, and a part of a name chooses', () => {
  const { status, stdout, stderr } = runBench('--quick', 'pipeline');
  assert.equal(status, 0, stderr);
  assert.equal(stderr, 'pipeline ...\n');
  const [heading, ...rows] = stdout.trimEnd().split('\n');
  assert.match(heading, /^BENCH +VALUE +UNIT +TARGET$/);
  assert.match(rows[0], /^pipeline.* +\d[\d.,]* +ns\/packet +<= 50 +(ok|short)$/);
});

test('the page of micro-benchmarks has a row for each of their lines, and no other', () => {
  const names = MICRO.flatMap((bench) => {
    const { stdout, stderr, status } = runBench('--quick', '--json', bench);
    assert.equal(status, 0, stderr);
    return stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).bench);
  });
  assert.deepEqual(rowsOfPage(), names, '`make bench-micro` writes the page anew');
});

test('a benchmark that is not there ends with exit code 2', () => {
  assert.equal(runBench('nothing').status, 2);
});
