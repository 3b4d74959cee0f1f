/**
 * Draws a report as SVG: for each event, the share of open connections that each scheme broke. Apache ECharts renders to text
 * without a browser. It is an optional dependency, loaded only here: a forwarder does not need it.
 */
import { AnyhopError } from '../core/errors.js';
import { installAgain } from '../core/install.js';
import type { Scheme } from './scheme.js';
import type { SimReport } from './simulate.js';

const WIDTH_PX = 1000;
const ROW_PX = 64;
/** By scheme: colours that the colour-blind can distinguish (Okabe and Ito). */
export const COLOURS = ['#009e73', '#56b4e9', '#e69f00', '#cc79a7', '#d55e00'];

/**
 * The SVG document, with a bar for each event and scheme.
 * @throws AnyhopError ERR_TOOL when ECharts is not installed
 */
export async function plotReport(report: SimReport, schemes: readonly Scheme[]): Promise<string> {
  const { core, charts, components, renderers } = await loadCharts();
  core.use([
    charts.BarChart,
    components.GridComponent,
    components.LegendComponent,
    components.TitleComponent,
    renderers.SVGRenderer,
  ]);
  const rows = report.rows.slice(1);
  const height = 120 + ROW_PX * Math.max(1, rows.length);
  const chart = core.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH_PX, height });
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    color: COLOURS,
    title: { text: 'Connections broken by each event', left: 'center', top: 8 },
    textStyle: { fontFamily: 'sans-serif' },
    legend: { top: 40, itemGap: 40, data: schemes.map(({ title }) => title) },
    grid: {
      left: 16,
      right: 48,
      top: 76,
      bottom: 16,
      outerBoundsMode: 'same',
      outerBoundsContain: 'axisLabel',
    },
    xAxis: { type: 'value', min: 0, max: 100, axisLabel: { formatter: '{value} %' } },
    yAxis: { type: 'category', inverse: true, data: rows.map(({ event }) => event) },
    series: schemes.map(({ name, title }) => ({
      type: 'bar' as const,
      name: title,
      barGap: '10%',
      label: { show: true, position: 'right' as const, fontSize: 10, formatter: '{c} %' },
      data: rows.map(({ counts }) => Number(((100 * counts[name].broken) / report.flows).toFixed(1))),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg}\n`;
}

export async function loadCharts() {
  try {
    const [core, charts, components, renderers] = await Promise.all([
      import('echarts/core'),
      import('echarts/charts'),
      import('echarts/components'),
      import('echarts/renderers'),
    ]);
    return { core, charts, components, renderers };
  } catch (error) {
    throw new AnyhopError('ERR_TOOL', 'the npm package echarts, which draws --svg, cannot be loaded', {
      hint: `It is an optional package of anyhop; install it: ${installAgain()}. The table and --json do not need it.`,
      cause: error,
    });
  }
}
