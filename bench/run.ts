/**
 * Runs every benchmark, each in a process of its own (inline caches of one would spoil the next), and draws a table of
 * what they print. Exits 0 when all of them could measure: whether a target was reached is for the reader.
 *
 *   node build/bench/run.js [--quick] [--json] [--steps] [--page] [name, or part of one]...
 *
 * `--steps` is for `xdp`: what each step of its program costs. `--page` runs the micro-benchmarks and writes their page.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MICRO, writePage } from './page.js';
import type { Measurement } from './report.js';

/** What a benchmark printed; `skipped` says why there is no value. */
type Line =
  | (Measurement & { readonly ok?: boolean; skipped?: undefined })
  | { bench: string; skipped: string };

/** In this folder and no benchmarks. */
const HELPERS = new Set(['run.js', 'report.js', 'alone.js', 'page.js']);
const HEADINGS = ['BENCH', 'VALUE', 'UNIT', 'TARGET', ''];
const RIGHT_ALIGNED = new Set(['VALUE', 'TARGET']);
const folder = fileURLToPath(new URL('.', import.meta.url));

const flags = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const unknown = flags.filter((flag) => !['--quick', '--json', '--steps', '--page'].includes(flag));
const all = readdirSync(folder).filter((file) => file.endsWith('.js') && !HELPERS.has(file));
/** A whole name means that one; a part of a name, all that have it. */
const chosen = (part: string): string[] =>
  all.includes(`${part}.js`) ? [`${part}.js`] : all.filter((file) => file.includes(part));
const page = flags.includes('--page');
const benches = page
  ? MICRO.map((name) => `${name}.js`)
  : [...new Set(wanted.length === 0 ? all : wanted.flatMap(chosen))].sort();
if (unknown.length > 0 || benches.length === 0) {
  process.stderr.write(
    `usage: run.js [--quick] [--json] [--steps] [--page] [name, or part of one]...\nbenches: ${benches.join(' ')}\n`,
  );
  process.exit(2);
}
const json = flags.includes('--json');
const lines: Line[] = [];
const failed: string[] = [];
for (const file of benches) {
  if (!json) process.stderr.write(`${file.slice(0, -3)} ...\n`);
  if (!(await run(file))) failed.push(file);
}
if (!json) console.log(table(lines));
if (page && failed.length === 0) writePage(lines.filter((line) => line.skipped === undefined));
for (const file of failed) process.stderr.write(`${file} could not measure\n`);
process.exitCode = failed.length === 0 ? 0 : 1;

/** @returns whether it ended well and printed something */
async function run(file: string): Promise<boolean> {
  const args = [
    '--expose-gc',
    `${folder}${file}`,
    ...flags.filter((flag) => flag !== '--json' && flag !== '--page'),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const code = new Promise((resolve) => child.once('close', resolve));
  const before = lines.length;
  for await (const text of createInterface({ input: child.stdout })) {
    lines.push(JSON.parse(text));
    if (json) console.log(text);
  }
  return (await code) === 0 && lines.length > before;
}

/** Notes stand below their line. */
function table(list: readonly Line[]): string {
  const rows = list.map((line) =>
    line.skipped === undefined
      ? [
          line.bench,
          number(line.value),
          line.unit,
          target(line),
          line.ok === undefined ? '' : line.ok ? 'ok' : 'short',
        ]
      : [line.bench, '-', '', '', `skipped: ${line.skipped}`],
  );
  const widths = HEADINGS.map((_, column) =>
    Math.max(...[HEADINGS, ...rows].map((row) => row[column].length)),
  );
  const draw = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        RIGHT_ALIGNED.has(HEADINGS[column]) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
      )
      .join('  ')
      .trimEnd();
  const body = rows.flatMap((row, i) => {
    const line = list[i];
    return line.skipped === undefined && line.note !== undefined
      ? [draw(row), `  ${line.note}`]
      : [draw(row)];
  });
  return [draw(HEADINGS), ...body].join('\n');
}

function target({ target, higherIsBetter }: Measurement): string {
  return target === undefined ? '' : `${higherIsBetter ? '>=' : '<='} ${number(target)}`;
}

function number(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 4 });
}
