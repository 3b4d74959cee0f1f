/**
 * How soon the dashboard of a node with 100 pools and 1,000 backends stands on the screen, and how long the browser works for each update:
 * scripting, style and layout on the page's main thread, by the browser's trace. Debian's Chromium without a screen, a node that tells
 * other rates and connections of each service and backend in every second. Both go before other programs of the machine, where that is
 * permitted.
 */
import type { Page } from 'playwright-core';
import { missingBrowser, openPage, startBrowser } from '../test/dashboard/browser.js';
import { statusOf } from '../test/dashboard/fake-fleet.js';
import { pageServer } from '../test/dashboard/page-server.js';
import { CATEGORIES, workPerUpdate } from './dashboard/trace.js';
import { prioritise } from './l7/cores.js';
import { median, report, skip } from './report.js';

const quick = process.argv.includes('--quick');
const [LOADS, UPDATES] = quick ? [1, 3] : [9, 60];
const SIZE = { pools: 100, backendsPerPool: 10 };
const SHOWN_TARGET_MS = 1000;
const UPDATE_TARGET_MS = 16;
/** Of sched(7): the lowest one that goes before ordinary programs. The browser has it too. */
const PRIORITY = 1;

const missing = missingBrowser();
if (missing !== undefined) skip('dashboard', missing);
else await measure();

async function measure(): Promise<void> {
  await prioritise(process.pid, PRIORITY);
  let second = 0;
  const server = await pageServer({ status: async () => statusOf(SIZE, second++) });
  const browser = await startBrowser();
  try {
    const shown: number[] = [];
    for (let i = 0; i < LOADS; i++) {
      const { page } = await openPage(browser);
      await page.goto(server.url);
      shown.push(await shownAt(page));
      await page.context().close();
    }
    report({
      bench: 'dashboard, 1,000 backends: opened to shown, median',
      value: median(shown),
      unit: 'ms',
      target: SHOWN_TARGET_MS,
    });
    const { page } = await openPage(browser);
    await page.goto(server.url);
    await shownAt(page);
    await page.waitForTimeout(3_000);
    await browser.startTracing(page, { categories: CATEGORIES });
    await page.waitForTimeout((UPDATES + 1) * 1_000);
    const work = workPerUpdate(await browser.stopTracing());
    if (work.length === 0) throw new Error('the trace holds no update');
    reportWork(
      'on the clock',
      work.map(({ wallMs }) => wallMs),
    );
    reportWork(
      'of the processor',
      work.map(({ processorMs }) => processorMs),
    );
  } finally {
    await browser.close();
    await server.close();
  }
}

/** Milliseconds from opening the page until the frame with the first rows. The policy of the page lets nobody wait within it. */
async function shownAt(page: Page): Promise<number> {
  for (;;) {
    const at = await page.evaluate("performance.getEntriesByName('anyhop shown')[0]?.startTime");
    if (typeof at === 'number') return at;
    await page.waitForTimeout(20);
  }
}

function reportWork(how: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  report({
    bench: `dashboard, 1,000 backends: scripting and layout for an update, ${how}, p95`,
    value: sorted[Math.ceil(sorted.length * 0.95) - 1]!,
    unit: 'ms',
    target: UPDATE_TARGET_MS,
    note: `median ${median(sorted).toFixed(1)} ms of ${sorted.length} updates`,
  });
}
