/**
 * A run as a picture: curves over one time axis, one below the other, and a mark for each event. Drawn by Apache ECharts, as
 * src/sim/plot.ts draws.
 */
import { loadCharts } from '#anyhop/sim/plot.js';
import type { Sample } from './journal.js';

export interface TimelineInput {
  readonly title: string;
  readonly events: readonly { readonly title: string; readonly atSeconds: number }[];
  /** Stretches of time that differ, behind the curves. */
  readonly spans?: readonly Span[];
  /** From the top. */
  readonly curves: readonly Curve[];
}

export interface Span {
  readonly title: string;
  readonly fromSeconds: number;
  readonly toSeconds: number;
  readonly colour: string;
}

export interface Curve {
  readonly name: string;
  readonly colour: string;
  /** Of values that change in steps. */
  readonly step?: true;
  /** Null: the curve has a gap. */
  readonly points: readonly (readonly [seconds: number, value: number | null])[];
}

/** Colours that stay apart for the colour-blind (Okabe and Ito). */
export const COLOURS = {
  green: '#009e73',
  red: '#d55e00',
  blue: '#0072b2',
  pink: '#cc79a7',
  orange: '#e69f00',
} as const;

const WIDTH_PX = 1200;
/** Of the title, and of an event's name, which stands upright above the first curve. */
const HEAD_PX = 60;
const LETTER_PX = 6;
const ROW_PX = 110;
const GAP_PX = 46;
const BOTTOM_PX = 36;
const LEFT_PX = 80;
const RIGHT_PX = 36;
/** Of a curve's name, above it. */
const NAME_PX = 22;

/** Of a moment, on the axis of a run that began at `startMs`. */
export function secondsOf(startMs: number, atMs: number): number {
  return Number(((atMs - startMs) / 1000).toFixed(2));
}

/** A rate a second, from totals. */
export function rateOf(
  startMs: number,
  counted: readonly { readonly atMs: number; readonly total: number }[],
): Curve['points'] {
  return counted.slice(1).map(({ atMs, total }, i) => {
    const { atMs: sinceMs, total: before } = counted[i]!;
    return [secondsOf(startMs, atMs), Math.round(((total - before) * 1000) / (atMs - sinceMs))];
  });
}

/** Samples of several clients as if they were one's, a second each, from `startMs` on. */
export function inOne(startMs: number, clients: readonly (readonly Sample[])[]): Sample[] {
  const seconds = new Map<number, Sample[][]>();
  for (const [client, samples] of clients.entries())
    for (const sample of samples) {
      const second = Math.ceil((sample.atMs - startMs) / 1_000);
      if (second < 0) continue;
      const each = seconds.get(second) ?? clients.map(() => []);
      each[client]!.push(sample);
      seconds.set(second, each);
    }
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
  return [...seconds]
    .sort(([one], [other]) => one - other)
    .map(([second, each]) => {
      const all = each.flat();
      return {
        event: 'sample',
        atMs: startMs + 1_000 * second,
        open: sum(each.map((own) => own.at(-1)?.open ?? 0)),
        answers: sum(all.map(({ answers }) => answers)),
        shorts: sum(all.map(({ shorts }) => shorts)),
        broken: sum(all.map(({ broken }) => broken)),
        slowestMs: Math.max(...all.map(({ slowestMs }) => slowestMs)),
      };
    });
}

/** What a client's samples say: connections that are open, those that broke so far, and answers a second. */
export function trafficCurves(startMs: number, all: readonly Sample[]): Curve[] {
  const samples = all.filter(({ atMs }) => atMs >= startMs);
  const totals = (count: (sample: Sample) => number): { atMs: number; total: number }[] => {
    let total = 0;
    return samples.map((sample) => {
      total += count(sample);
      return { atMs: sample.atMs, total };
    });
  };
  return [
    {
      name: 'open connections',
      colour: COLOURS.green,
      points: samples.map(({ atMs, open }) => [secondsOf(startMs, atMs), open]),
    },
    {
      name: 'broken connections so far',
      colour: COLOURS.red,
      points: totals(({ broken }) => broken).map(({ atMs, total }) => [secondsOf(startMs, atMs), total]),
    },
    {
      name: 'answers a second',
      colour: COLOURS.blue,
      points: rateOf(
        startMs,
        totals(({ answers }) => answers),
      ),
    },
  ];
}

/**
 * The SVG document.
 * @throws AnyhopError ERR_TOOL when ECharts is not installed
 */
export async function drawTimeline(input: TimelineInput): Promise<string> {
  const { core, charts, components, renderers } = await loadCharts();
  const { GridComponent, MarkAreaComponent, MarkLineComponent, TitleComponent } = components;
  core.use([
    ...[charts.LineChart, GridComponent, MarkAreaComponent, MarkLineComponent, TitleComponent],
    renderers.SVGRenderer,
  ]);
  const { curves, events, spans = [] } = input;
  const longest = Math.max(0, ...events.map(({ title }) => title.length));
  const top = (row: number): number => HEAD_PX + longest * LETTER_PX + row * (ROW_PX + GAP_PX);
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
    series: curves.map(({ name, colour, points, step }, row) => ({
      type: 'line' as const,
      name,
      xAxisIndex: row,
      yAxisIndex: row,
      showSymbol: false,
      ...(step && { step: 'end' as const }),
      lineStyle: { width: 1.5 },
      color: colour,
      data: points.map((point) => [...point]),
      markArea: {
        silent: true,
        label: { show: row === 0, position: 'insideTop' as const, fontSize: 14, color: '#555555' },
        data: spans.map((span) => [
          { name: span.title, xAxis: span.fromSeconds, itemStyle: { color: span.colour } },
          { xAxis: span.toSeconds },
        ]),
      },
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
        data: events.map(({ title, atSeconds }) => ({ name: title, xAxis: atSeconds })),
      },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}
