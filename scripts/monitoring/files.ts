/** The files of this folder that users take: written by `make docs`, compared by `make check`. */
import { ALERTS } from './alerts.js';
import { grafanaDashboard } from './grafana.js';
import { ROWS } from './panels.js';
import { RULES_FILE, ruleFile, ruleTestFile } from './rules.js';

export const MONITORING_FOLDER = 'scripts/monitoring';
export const MONITORING_FILES: Readonly<Record<string, () => string>> = {
  'anyhop.grafana.json': () => grafanaDashboard(ROWS),
  [RULES_FILE]: () => ruleFile(ALERTS),
  'anyhop.rules.test.yml': () => ruleTestFile(ALERTS),
};
