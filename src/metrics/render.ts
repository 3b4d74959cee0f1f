/** From tables to the text that Prometheus reads, by prom-client. Runs in the listener's worker: 20,000 series take 20 ms. */
import { type Metric, Registry } from 'prom-client';
import type { Family } from './family.js';
import { HISTOGRAM_WIDTH, histogramBounds } from './histogram.js';
import { FAMILIES, type FamilyName } from './names.js';
import type { MetricTable } from './table.js';

export const TEXT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;
export const OPENMETRICS_TYPE = Registry.OPENMETRICS_CONTENT_TYPE;
export type ContentType = typeof TEXT_TYPE | typeof OPENMETRICS_TYPE;

/** As prom-client takes them from a metric's `get`. */
interface Series {
  readonly metricName?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** prom-client makes their text once for each object. */
  readonly sharedLabels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Label sets of rows as objects, which are kept for as long as the rows are the same. */
const labelSets = new WeakMap<MetricTable['rows'], Readonly<Record<string, string>>[]>();

/** Families without a series are left out. */
export async function render(tables: readonly MetricTable[], type: ContentType): Promise<string> {
  const series = new Map<FamilyName, Series[]>();
  for (const { rows, columns } of tables) {
    for (const [name, values] of Object.entries(columns) as [FamilyName, ArrayLike<number>][]) {
      const family = FAMILIES[name];
      const labels = labelsOf(rows, family);
      const list = series.get(name) ?? [];
      if (family.type === 'histogram') addHistogram(list, name, values, labels);
      else addPlain(list, values, labels);
      if (list.length > 0) series.set(name, list);
    }
  }
  const registry = new Registry<ContentType>();
  registry.setContentType(type);
  for (const name of Object.keys(FAMILIES) as FamilyName[]) {
    const values = series.get(name);
    if (values !== undefined) registry.registerMetric(metricOf(name, values));
  }
  return registry.metrics();
}

function metricOf(name: FamilyName, values: readonly Series[]): Metric {
  const { type, help } = FAMILIES[name];
  const metric = {
    name,
    type,
    // prom-client renames a counter for OpenMetrics.
    get() {
      return { name: this.name, help, type, values };
    },
  };
  return metric as unknown as Metric;
}

function labelsOf(rows: MetricTable['rows'], { labels }: Family): Readonly<Record<string, string>>[] {
  let sets = labelSets.get(rows);
  if (sets === undefined) {
    sets = rows.map((row) => Object.fromEntries(labels.map((label, i) => [label, row[i]])));
    labelSets.set(rows, sets);
  }
  return sets;
}

function addPlain(
  list: Series[],
  values: ArrayLike<number>,
  labels: readonly Readonly<Record<string, string>>[],
): void {
  for (let i = 0; i < values.length; i++)
    if (!Number.isNaN(values[i])) list.push({ sharedLabels: labels[i], value: values[i] });
}

/** @param values of each row: how many were at most each bound, all of them, their sum */
function addHistogram(
  list: Series[],
  name: FamilyName,
  values: ArrayLike<number>,
  labels: readonly Readonly<Record<string, string>>[],
): void {
  for (const [row, sharedLabels] of labels.entries()) {
    const at = row * HISTOGRAM_WIDTH;
    const count = values[at + histogramBounds.length];
    for (const [i, bound] of histogramBounds.entries())
      list.push({
        metricName: `${name}_bucket`,
        labels: { le: String(bound) },
        sharedLabels,
        value: values[at + i],
      });
    list.push({ metricName: `${name}_bucket`, labels: { le: '+Inf' }, sharedLabels, value: count });
    list.push({ metricName: `${name}_sum`, sharedLabels, value: values[at + HISTOGRAM_WIDTH - 1] });
    list.push({ metricName: `${name}_count`, sharedLabels, value: count });
  }
}
