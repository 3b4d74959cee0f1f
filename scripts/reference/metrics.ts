/** `docs/reference/metrics.md`: what each process answers to Prometheus, from the list that the answers are made by. */

import type { Family, MetricsProcess } from '#anyhop/metrics/family.js';
import { histogramBounds } from '#anyhop/metrics/histogram.js';
import { COMMON, OWN } from '#anyhop/metrics/names.js';
import { cell, code, page, table } from './markdown.js';

const TITLES: Readonly<Record<MetricsProcess, string>> = {
  node: 'Of a node: `node.metrics`',
  agent: 'Of an agent: `agent.metrics`',
  l7: 'Of a proxy host: `l7.metrics`',
  announce: 'Of `anyhop announce`: `announce.metrics`',
};

export function metricsPage(): string {
  return page(
    'Metrics',
    '`src/metrics/families/`',
    'What `GET /metrics` answers. [Metrics](../metrics.md) says how to scrape it. A family without anything to tell is left out. Names, labels and ' +
      'meanings do not change; more may be added.',
    ...Object.entries(OWN).flatMap(([process, families]) => [
      `## ${TITLES[process as MetricsProcess]}`,
      rows(families),
    ]),
    '## Of every process',
    rows(COMMON),
    `The buckets of histograms end at ${histogramBounds.join(', ')} seconds.`,
  );
}

function rows(families: Readonly<Record<string, Family>>): string {
  return table(
    ['metric', 'type', 'labels', 'meaning'],
    Object.entries(families).map(([name, { type, labels, help }]) => [
      code(name),
      type,
      labels.map(code).join(', '),
      cell(help),
    ]),
  );
}
