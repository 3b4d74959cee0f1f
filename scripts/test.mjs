// Runs every compiled test file under node's own test runner, and says at the end which tests were skipped and why, and which files took
// longest.
//   node scripts/test.mjs [--long] [part of a file name]...
//
// What takes minutes is named *.long.test.ts, and runs with --long alone, or when a part of its name is given.
//
// Files run three at a time, since they wait more than they compute, and measure real daemons and kernels. A file that fails runs once
// more, alone; what passes only then is listed at the end as unsteady, so that nobody overlooks it. Many failed files are no accident:
// they do not run again.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const AT_ONCE = 3;
const ALONE_MAX = 12;
const SLOWEST = 12;
const [TEST_MS, LONG_MS] = [600_000, 3_600_000];

const isLong = process.argv.includes('--long');
const wanted = process.argv.slice(2).filter((arg) => arg !== '--long');
const isLongFile = (file) => file.endsWith('.long.test.js');
const files = readdirSync('build/test', { recursive: true })
  .filter((file) => file.endsWith('.test.js'))
  .filter(
    (file) =>
      wanted.some((part) => file.includes(part)) || (wanted.length === 0 && isLongFile(file) === isLong),
  )
  .map((file) => `build/test/${file}`)
  .sort();
const unmatched = wanted.filter((part) => !files.some((file) => file.includes(part)));
if (unmatched.length > 0 || files.length === 0) {
  console.error(`no test file matches: ${unmatched.join(' ')}`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'anyhop-tests-'));
const skipped = [];
let code = 1;
let unsteady = [];
let slowest = [];
// To end, by a signal.
let wasTold = false;
try {
  const first = await run(files, AT_ONCE);
  code = first.code;
  slowest = first.slowest;
  if (code !== 0 && first.failed.length > 0 && first.failed.length <= ALONE_MAX && !wasTold) {
    console.log(`\nonce more, alone:\n${list(first.failed)}\n`);
    const second = await run(first.failed, 1);
    code = second.code;
    unsteady = first.failed.filter((file) => !second.failed.includes(file));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (slowest.length > 1) console.log(`\nslowest files:\n${list(slowest)}`);
if (skipped.length > 0) console.log(`\nskipped:\n${list(new Set(skipped))}`);
if (unsteady.length > 0) console.log(`\nunsteady, passed only alone:\n${list(unsteady)}`);
process.exitCode = code;

// The exit code, the files of which a test failed, and what took longest.
function run(chosen, concurrency) {
  const told = join(folder, `files-${concurrency}`);
  const child = spawn(
    process.execPath,
    [
      '--test',
      `--test-concurrency=${concurrency}`,
      // A test that waits for ever is a failure, not a run without an end. Some of those that take minutes can be told to take longer.
      `--test-timeout=${chosen.some(isLongFile) ? LONG_MS : TEST_MS}`,
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${new URL('test-files.mjs', import.meta.url).pathname}`,
      `--test-reporter-destination=${told}`,
      ...chosen,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  // Otherwise the tests would go on without anybody who waits for them.
  const pass = (signal) => {
    wasTold = true;
    child.kill(signal);
  };
  process.once('SIGINT', pass).once('SIGTERM', pass);
  let line = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk) => {
    process.stdout.write(chunk);
    const lines = (line + chunk).split('\n');
    line = lines.pop();
    for (const text of lines) if (text.includes('# SKIP') || text.includes('﹣')) skipped.push(text.trim());
  });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      process.off('SIGINT', pass).off('SIGTERM', pass);
      const results = readFileSync(told, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((text) => JSON.parse(text));
      const failed = chosen.filter((file) =>
        results.some(({ path, failed }) => failed && path.endsWith(file)),
      );
      const slowest = results
        .sort((a, b) => b.ms - a.ms)
        .slice(0, SLOWEST)
        .map(
          ({ path, ms }) => `${(ms / 1000).toFixed(1).padStart(6)} s  ${path.replace(/.*build\/test\//, '')}`,
        );
      resolve({ code: code ?? 1, failed, slowest });
    });
  });
}

function list(texts) {
  return [...texts].map((text) => `  ${text}`).join('\n');
}
