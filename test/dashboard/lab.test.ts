/** The dashboard of a real fleet in a real browser: two forwarders, three backends, and what happens to them. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { addDashboards } from '../../scripts/lab/dashboards.js';
import { createLab, missingForLab } from '../../scripts/lab/lab.js';
import { getRequests } from '../../scripts/lab/requests.js';
import { VIP4 } from '../../scripts/lab/topology.js';
import { missingBrowser, openPage, startBrowser } from './browser.js';

const skip = missingForLab()?.message ?? missingBrowser() ?? false;
const LATE_MS = 30_000;
/** What is looked at, not compared; `make screenshots` copies them to docs/images, and gives the page time for lines to draw. */
const PICTURES = 'build/screenshots';
const POSE_MS = process.env['ANYHOP_POSE'] === undefined ? 0 : 6_000;
const HEALTH = { kind: 'tunnel', interval: '200ms', timeout: '150ms', rise: 2, fall: 2 };

describe('the dashboard of a fleet', { skip }, () => {
  test('shows a backend that dies, what a drain would move, a node that hangs, and its own end', {
    timeout: 180_000,
  }, async () => {
    mkdirSync(PICTURES, { recursive: true });
    const lab = await createLab({ forwarders: 2, backends: 3, pool: { health: HEALTH } });
    const starting = startBrowser();
    try {
      const dashboards = await addDashboards(lab);
      const { forwarders } = await lab.startAll();
      const { port } = await dashboards.show(0);
      const { page, errors, origins } = await openPage(await starting);
      await page.goto(`http://127.0.0.1:${port}/`);
      await page.getByText('All 12 backends up on 2 nodes.').waitFor({ timeout: LATE_MS });
      await sendRequests(lab);
      await page.locator('#services td').getByText('ready').first().waitFor({ timeout: LATE_MS });
      await picture(page, 'health');

      await page.locator('#slots').scrollIntoViewIfNeeded();
      await page.locator('#slot-summary').getByText('65,537 slots').waitFor({ timeout: LATE_MS });
      await page.locator('#slot-backend').selectOption('web-2');
      await page.locator('#slot-moves').check();
      await page.locator('#slot-summary').getByText('its own, and no others').waitFor({ timeout: LATE_MS });
      await page.locator('#slot-canvas').focus();
      await page.keyboard.press('ArrowDown');
      assert.match(
        (await page.locator('#slot-readout').textContent()) ?? '',
        /^Slot \d+: owner web-[123], alternates/,
      );
      await picture(page, 'slots');
      await page.locator('#health').scrollIntoViewIfNeeded();

      const killedAt = performance.now();
      lab.servers[1]!.kill();
      await page.locator('#trouble td[data-state=bad]').first().waitFor({ timeout: LATE_MS });
      const redMs = Math.round(performance.now() - killedAt);
      console.log(`a backend that was killed is red after ${redMs} ms`);
      await page.getByText('4 backends of 12 down').waitFor({ timeout: LATE_MS });
      assert.match((await page.locator('#trouble tbody').textContent()) ?? '', /web-2down/);

      process.kill(forwarders[1]!.pid, 'SIGSTOP');
      await page.locator('#fleet td').getByText('silent since').waitFor({ timeout: LATE_MS });
      await page.emulateMedia({ colorScheme: 'dark' });
      await picture(page, 'trouble');
      process.kill(forwarders[1]!.pid, 'SIGCONT');
      await page
        .locator('#fleet td')
        .getByText('silent since')
        .waitFor({ state: 'hidden', timeout: LATE_MS });
      assert.deepEqual(errors, []);
      assert.deepEqual([...origins], [`http://127.0.0.1:${port}`]);

      forwarders[0]!.kill();
      await page.locator('#stale').waitFor({ timeout: LATE_MS });
      assert.match((await page.locator('#stale').textContent()) ?? '', /no connection to the dashboard/);
    } finally {
      await Promise.all([starting.then((browser) => browser.close()), lab.close()]);
    }
  });
});

async function sendRequests(lab: Awaited<ReturnType<typeof createLab>>): Promise<void> {
  const requests = getRequests(VIP4, 80, { count: POSE_MS === 0 ? 100 : 3_000, firstSourcePort: 30_000 });
  const answers = await lab.request({ requests, concurrency: 8, timeoutMs: 5_000 });
  assert.ok(answers.every(({ error }) => error === null));
}

async function picture(page: Page, name: string): Promise<void> {
  await delay(POSE_MS);
  await page.screenshot({ path: `${PICTURES}/${name}.png` });
}
