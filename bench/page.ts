/** The page of micro-benchmarks, written by the run that measured them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import type { Measurement } from './report.js';

/** The benchmarks on the page: what runs in memory, without root. */
export const MICRO = ['hash', 'pipeline', 'pipeline-c', 'table'] as const;
const PAGE = 'docs/architecture/micro-benchmarks.md';

export function writePage(lines: readonly (Measurement & { readonly ok?: boolean })[]): void {
  const rows = lines.map(({ bench, value, unit, target, higherIsBetter, ok, note }) => {
    const goal = target === undefined ? '' : `${higherIsBetter ? '>=' : '<='} ${target}`;
    return `| ${bench} | ${Number(value.toPrecision(3))} ${unit} | ${goal}${ok === false ? ': short' : ''} | ${note ?? ''} |`;
  });
  writeFileSync(
    PAGE,
    `# Micro-benchmarks

\`make bench-micro\` measures these figures and writes this page. A figure with a peer is a ratio: both run in one process, in turns.
The machine is shared. Hashes and packets are CPU time and change by 5 % from run to run. Tables are wall time and change more.

Processor: ${cpus()[0].model.trim()}. Kernel ${release().split('-')[0]}, Node ${process.versions.node}.

| what | measured | target | how |
| --- | --- | --- | --- |
${rows.join('\n')}
`,
  );
}

/** What the page has a row for. */
export function rowsOfPage(): string[] {
  const rows = readFileSync(PAGE, 'utf8').matchAll(/^\| (.+?) \| .* \|$/gm);
  return [...rows].map(([, name]) => name).filter((name) => name !== 'what' && name !== '---');
}
