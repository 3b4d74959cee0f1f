// Runs every compiled test file under node's own test runner, and says at the end which tests were skipped and why.
//   node scripts/test.mjs [part of a file name]...
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';

const wanted = process.argv.slice(2);
const files = readdirSync('build/test', { recursive: true })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .map((file) => `build/test/${file}`)
  .sort();
const unmatched = wanted.filter((part) => !files.some((file) => file.includes(part)));
if (unmatched.length > 0 || files.length === 0) {
  console.error(`no test file matches: ${unmatched.join(' ')}`);
  process.exit(2);
}
// A test that waits for ever is a failure, not a run without an end.
const options = ['--test', '--test-concurrency=2', '--test-timeout=600000', '--test-reporter=spec'];
const child = spawn(process.execPath, [...options, ...files], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const skipped = [];
let line = '';
child.stdout.setEncoding('utf8');
child.stdout.on('data', (chunk) => {
  process.stdout.write(chunk);
  const lines = (line + chunk).split('\n');
  line = lines.pop();
  for (const text of lines) if (text.includes('# SKIP') || text.includes('﹣')) skipped.push(text.trim());
});
child.on('close', (code, signal) => {
  if (skipped.length > 0)
    console.log(`\nskipped:\n${[...new Set(skipped)].map((text) => `  ${text}`).join('\n')}`);
  process.exit(code ?? (signal ? 1 : 0));
});
