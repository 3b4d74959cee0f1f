/**
 * A run as a picture: four curves over one time axis, and a mark for each event. Drawn by Apache ECharts, as src/sim/plot.ts
 * draws.
 */
import { loadCharts } from '#anyhop/sim/plot.js';
import type { Sample } from './journal.js';
import type { EventResult } from './judge.js';
import type { CountedPackets } from './router.js';

export interface TimelineInput {
  readonly title: string;
  readonly startMs: number;
  readonly events: readonly EventResult[];
  readonly samples: readonly Sample[];
  /** Packets from backend to backend. */
  readonly secondHopsOverTime: readonly CountedPackets[];
}

interface Curve {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly (readonly [seconds: number, value: number])[];
}

const WIDTH_PX = 1200;
/** Of the title, and of the events' names, which stand upright above the first curve. */
const TOP_PX = 350;
const ROW_PX = 110;
const GAP_PX = 46;
const BOTTOM_PX = 36;
const LEFT_PX = 80;
const RIGHT_PX = 36;
/** Of a curve's name, above it. */
const NAME_PX = 22;

/** Colours that stay apart for the colour-blind (Okabe and Ito). */
function curvesOf({ startMs, secondHopsOverTime, ...input }: TimelineInput): Curve[] {
  const samples = input.samples.filter(({ atMs }) => atMs >= startMs);
  const seconds = (atMs: number): number => Number(((atMs - startMs) / 1000).toFixed(2));
  const rate = (counted: readonly { atMs: number; total: number }[]): Curve['points'] =>
    counted.slice(1).map(({ atMs, total }, i) => {
      const { atMs: sinceMs, total: before } = counted[i]!;
      return [seconds(atMs), Math.round(((total - before) * 1000) / (atMs - sinceMs))];
    });
  const totals = (count: (sample: Sample) => number): { atMs: number; total: number }[] => {
    let total = 0;
    return samples.map((sample) => {
      total += count(sample);
      return { atMs: sample.atMs, total };
    });
  };
  return [
    { name: 'open connections', colour: '#009e73', points: samples.map((s) => [seconds(s.atMs), s.open]) },
    {
      name: 'broken connections so far',
      colour: '#d55e00',
      points: totals(({ broken }) => broken).map(({ atMs, total }) => [seconds(atMs), total]),
    },
    { name: 'answers a second', colour: '#0072b2', points: rate(totals(({ answers }) => answers)) },
    {
      name: 'packets a second that backends send on to the backend of the second chance',
      colour: '#cc79a7',
      points: rate(secondHopsOverTime.map(({ atMs, packets }) => ({ atMs, total: packets }))),
    },
  ];
}

/**
 * The SVG document.
 * @throws AnyhopError ERR_TOOL when ECharts is not installed
 */
export async function drawTimeline(input: TimelineInput): Promise<string> {
  const { core, charts, components, renderers } = await loadCharts();
  const { GridComponent, MarkLineComponent, TitleComponent } = components;
  core.use([charts.LineChart, GridComponent, MarkLineComponent, TitleComponent, renderers.SVGRenderer]);
  const curves = curvesOf(input);
  const top = (row: number): number => TOP_PX + row * (ROW_PX + GAP_PX);
  const height = top(curves.length) - GAP_PX + BOTTOM_PX;
  const chart = core.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH_PX, height });
  const max = Math.ceil(Math.max(1, ...curves.flatMap(({ points }) => points.map(([at]) => at))));
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'sans-serif' },
    title: [
      { text: input.title, left: 'center', top: 8, textStyle: { fontSize: 14 } },
      ...curves.map(({ name, colour }, row) => ({
        text: name,
        left: LEFT_PX,
        top: top(row) - NAME_PX,
        padding: 0,
        textStyle: { fontSize: 12, color: colour },
      })),
    ],
    grid: curves.map((_, row) => ({ left: LEFT_PX, right: RIGHT_PX, top: top(row), height: ROW_PX })),
    xAxis: curves.map((_, row) => ({
      type: 'value' as const,
      gridIndex: row,
      min: 0,
      max,
      axisLabel: { formatter: '{value} s', show: row === curves.length - 1 },
      splitLine: { show: false },
    })),
    yAxis: curves.map((_, row) => ({
      type: 'value' as const,
      gridIndex: row,
      min: 0,
      minInterval: 1,
      splitNumber: 3,
    })),
    series: curves.map(({ name, colour, points }, row) => ({
      type: 'line' as const,
      name,
      xAxisIndex: row,
      yAxisIndex: row,
      showSymbol: false,
      lineStyle: { width: 1.5 },
      color: colour,
      data: points.map((point) => [...point]),
      markLine: {
        symbol: 'none',
        lineStyle: { color: '#999999', type: 'dashed' as const, width: 1 },
        label: {
          show: row === 0,
          formatter: '{b}',
          rotate: 90,
          fontSize: 10,
          position: 'end' as const,
          align: 'left' as const,
          distance: NAME_PX,
        },
        data: input.events.map(({ title, atSeconds }) => ({ name: title, xAxis: atSeconds })),
      },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
