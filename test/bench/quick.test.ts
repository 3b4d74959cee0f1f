/** The runner that `make bench` uses, and the page of micro-benchmarks; all.long.test.ts runs every benchmark. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MICRO, rowsOfPage } from '../../bench/page.js';

const FOLDER = fileURLToPath(new URL('../../bench/', import.meta.url));
const RUN = `${FOLDER}run.js`;
const TIMEOUT_MS = 100_000;

function runBench(...args: string[]) {
  return spawnSync(process.execPath, [RUN, ...args], { encoding: 'utf8', timeout: TIMEOUT_MS });
}

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
