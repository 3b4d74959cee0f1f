/** The page in a real browser, with a node that tells what the test wants. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Browser } from 'playwright-core';
import type { NodeStatus } from '#anyhop/api/status.js';
import { missingBrowser, openPage, startBrowser } from './browser.js';
import { statusOf, withBackend } from './fake-fleet.js';
import { type PageServer, pageServer } from './page-server.js';

const SIZE = { pools: 2, backendsPerPool: 30 };
const skip = missingBrowser() ?? false;
const LATE_MS = 20_000;

describe('the page', { skip }, () => {
  let browser: Browser;
  let server: PageServer;
  let second = 0;
  let change = (status: NodeStatus): NodeStatus => status;

  before(async () => {
    browser = await startBrowser();
    server = await pageServer({
      status: async () => change(statusOf(SIZE, second++)),
      events: () => ({
        since: '2026-11-30T00:00:00.000Z',
        events: [
          {
            at: '2026-11-30T00:30:00.000Z',
            level: 'warn',
            event: 'health',
            message: '<img src=x onerror=alert(1)> \u001b[31m',
          },
        ],
      }),
    });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  it('says in one sentence that all is well, asks nobody else, and breaks no rule of its policy', async () => {
    const { page, errors, origins } = await openPage(browser);
    await page.goto(server.url);
    await page.getByText('All 60 backends up.').waitFor({ timeout: LATE_MS });
    await page.locator('#slots').scrollIntoViewIfNeeded();
    // What a message of an event holds is text.
    await page.locator('#events').getByText('<img src=x onerror=alert(1)> \\u001b[31m').waitFor();
    assert.deepEqual([...origins], [server.url]);
    assert.deepEqual(
      errors.filter((text) => !text.includes('status of 404')),
      [],
    );
    await page.context().close();
  });

  it('turns red when a backend goes down, names it with the reason, and shows it first', async () => {
    const { page } = await openPage(browser);
    await page.goto(server.url);
    await page.getByText('All 60 backends up.').waitFor({ timeout: LATE_MS });
    change = (status) =>
      withBackend(status, 'pool-2', 'web-17', { health: 'down', healthReason: 'connection refused' });
    await page.getByText('1 backend of 60 down.').waitFor({ timeout: LATE_MS });
    assert.match(
      (await page.locator('#troubles li').textContent()) ?? '',
      /pool-2: web-17 is down for .*: connection refused/,
    );
    const row = page.locator('#trouble tbody tr');
    assert.match((await row.textContent()) ?? '', /pool-2\/web-17.*down.*connection refused/);
    assert.equal(await row.locator('td[data-state=bad]').textContent(), 'down');
    assert.match((await page.locator('#backends tbody tr').first().textContent()) ?? '', /pool-2\/web-17/);
    change = (status) => status;
    await page.getByText('All 60 backends up.').waitFor({ timeout: LATE_MS });
    await page.context().close();
  });

  it('shows how many connections are left on a backend that drains', async () => {
    change = (status) =>
      withBackend(status, 'pool-1', 'web-3', {
        state: 'draining',
        drain: {
          since: '2026-11-30T00:00:00.000Z',
          deadline: '2026-11-30T02:00:00.000Z',
          connections: 41,
          done: false,
        },
      });
    const { page } = await openPage(browser);
    await page.goto(server.url);
    const row = page.locator('#drains tbody tr');
    await row.waitFor({ timeout: LATE_MS });
    assert.match((await row.textContent()) ?? '', /pool-1\/web-3.*41/);
    change = (status) => status;
    await page.context().close();
  });

  it('is as wide as a phone, light and dark', async () => {
    const grounds = new Set<string>();
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await openPage(browser, { viewport: { width: 360, height: 740 }, colorScheme });
      await page.goto(server.url);
      await page.locator('#backends tbody tr').first().waitFor({ timeout: LATE_MS });
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
      grounds.add(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
      await page.context().close();
    }
    assert.equal(grounds.size, 2);
  });

  it('can be used by keyboard: to the content, through a table, by an order', async () => {
    const { page } = await openPage(browser);
    await page.goto(server.url);
    await page.locator('#backends tbody tr').first().waitFor({ timeout: LATE_MS });
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate('document.activeElement.id'), 'main');
    const next = page.locator('#backends').getByRole('button', { name: 'next' });
    await next.focus();
    await page.keyboard.press('Enter');
    await page.locator('#backends').getByText('26 to 50 of 60').waitFor();
    await page.locator('#backends').getByRole('button', { name: 'Packets/s' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('#backends th[aria-sort=descending]').waitFor();
    await page.locator('#backends').getByLabel('Find').fill('pool-2/web-7');
    await page.waitForFunction("document.querySelectorAll('#backends tbody tr').length === 1");
    await page.context().close();
  });

  it('says that what it shows is stale when the node stops answering, and is live again when it answers', async () => {
    const { page } = await openPage(browser);
    await page.goto(server.url);
    await page.locator('#backends tbody tr').first().waitFor({ timeout: LATE_MS });
    assert.equal(await page.locator('#age').textContent(), 'live');
    change = () => {
      throw new Error('the node is stuck');
    };
    await page.locator('#stale').waitFor({ timeout: LATE_MS });
    assert.match((await page.locator('#stale').textContent()) ?? '', /^Stale: .*What you see is of \d\d:/);
    change = (status) => status;
    await page.locator('#stale').waitFor({ state: 'hidden', timeout: LATE_MS });
    await page.context().close();
  });

  it('asks the node nothing while nobody watches', async () => {
    const until = Date.now() + LATE_MS;
    let asked = second;
    // The last page has just been closed: at most one question is on its way.
    do {
      asked = second;
      await new Promise((resolve) => setTimeout(resolve, 2_500));
    } while (second > asked && Date.now() < until);
    assert.equal(second, asked);
  });
});
