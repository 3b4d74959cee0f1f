/** Draws what came of a large fleet as SVG: for how long nodes had different tables, and what broke, each by what is why. */
import { took } from '../../core/figures.js';
import { COLOURS, loadCharts } from '../plot.js';
import { ANYHOP, ANYHOP_ALONE } from '../scheme.js';
import type { LargeReport, LargeRow } from './simulate.js';

const WIDTH_PX = 1100;
const ROW_PX = 64;
/** The least that is drawn of a time: an axis of powers has no 0. */
const LEAST_MS = 10;

const TIMES = [
  { name: 'median', of: ({ medianMs }: LargeRow): number => medianMs },
  { name: '99 of 100 are no longer', of: ({ p99Ms }: LargeRow): number => p99Ms },
  { name: 'longest', of: ({ maxMs }: LargeRow): number => maxMs },
];
/** Of a label. */
const timeText = ({ value }: { readonly value?: unknown }): string => took(Number(value));

const BROKEN = [
  { name: 'broken', scheme: ANYHOP },
  { name: 'broken without second chance', scheme: ANYHOP_ALONE },
];

/**
 * The SVG document.
 * @throws AnyhopError ERR_TOOL when ECharts is not installed
 */
export async function plotLarge(report: LargeReport, subtitle: string): Promise<string> {
  const { core, charts, components, renderers } = await loadCharts();
  core.use([
    charts.BarChart,
    components.GridComponent,
    components.LegendComponent,
    components.TitleComponent,
    renderers.SVGRenderer,
  ]);
  const rows = report.rows.filter(({ events, differed }) => events + differed > 0);
  const height = 150 + ROW_PX * Math.max(1, rows.length);
  const chart = core.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH_PX, height });
  const names = rows.map(({ kind }) => kind);
  const grid = { top: 104, bottom: 40, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' } as const;
  const label = { show: true, position: 'right', fontSize: 10 } as const;
  const bar = { type: 'bar', barGap: '10%' } as const;
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    color: COLOURS,
    title: {
      text: 'A large fleet: how long nodes had different tables, and which connections broke',
      subtext: subtitle,
      left: 'center',
      top: 8,
    },
    textStyle: { fontFamily: 'sans-serif' },
    legend: { top: 64, itemGap: 28 },
    grid: [
      { ...grid, left: 16, width: '56%' },
      { ...grid, left: '66%', right: 72 },
    ],
    xAxis: [
      { type: 'log', min: LEAST_MS, gridIndex: 0, axisLabel: { formatter: took } },
      { type: 'value', min: 0, minInterval: 1, gridIndex: 1, splitNumber: 3 },
    ],
    yAxis: [
      { type: 'category', inverse: true, data: names, gridIndex: 0 },
      { type: 'category', inverse: true, data: names, gridIndex: 1, axisLabel: { show: false } },
    ],
    series: [
      ...TIMES.map(({ name, of }) => ({
        ...{ ...bar, name, label: { ...label, formatter: timeText } },
        data: rows.map((row) => (of(row) < LEAST_MS ? '-' : of(row))),
      })),
      ...BROKEN.map(({ name, scheme }) => ({
        ...{ ...bar, name, label, xAxisIndex: 1, yAxisIndex: 1 },
        data: rows.map(({ broken }) => broken[scheme.name]),
      })),
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
