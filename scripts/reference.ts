/**
 * Writes the reference pages of `docs/reference/`, and the files for Prometheus and Grafana, from what they describe, so that they cannot
 * fall behind it.
 *
 *   node build/scripts/reference.js           writes the pages
 *   node build/scripts/reference.js --check   fails, and names the page, when one does not match the program
 *
 * Each page is a function that returns Markdown; a new page is one line below.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { MONITORING_FILES, MONITORING_FOLDER } from './monitoring/files.js';
import { alertPage } from './reference/alerts.js';
import { commandPage } from './reference/commands.js';
import { configPage, healthPage, layer7Page } from './reference/config.js';
import { controlApiPage } from './reference/control-api.js';
import { doctorPage } from './reference/doctor.js';
import { logEventPage } from './reference/log-events.js';
import { metricsPage } from './reference/metrics.js';
import { verdictPage } from './reference/verdicts.js';

const FOLDER = 'docs/reference';
const PAGES: Readonly<Record<string, () => string>> = {
  'alerts.md': alertPage,
  'commands.md': commandPage,
  'config.md': configPage,
  'control-api.md': controlApiPage,
  'doctor.md': doctorPage,
  'health-checks.md': healthPage,
  'layer-7.md': layer7Page,
  'log-events.md': logEventPage,
  'metrics.md': metricsPage,
  'verdicts.md': verdictPage,
};

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
mkdirSync(FOLDER, { recursive: true });
const stale: string[] = [];
const files = [
  ...Object.entries(PAGES).map(([name, text]) => [`${FOLDER}/${name}`, text] as const),
  ...Object.entries(MONITORING_FILES).map(([name, text]) => [`${MONITORING_FOLDER}/${name}`, text] as const),
];
for (const [path, make] of files) {
  const text = make();
  if (text === read(path)) continue;
  if (values.check) stale.push(path);
  else writeFileSync(path, text);
}
const unknown = readdirSync(FOLDER).filter((name) => !Object.hasOwn(PAGES, name));
for (const name of unknown) console.error(`${FOLDER}/${name} is not one of the generated pages`);
for (const path of stale)
  console.error(`${path} does not match the program: run \`make docs\` and commit the result`);
process.exitCode = stale.length + unknown.length > 0 ? 1 : 0;

/** Undefined when there is no such file. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
