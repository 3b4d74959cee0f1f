/** The page in a real browser, with a node that tells what the test wants. Its tests use one page, one after the other. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import type { NodeStatus } from '#anyhop/api/status.js';
import { missingBrowser, openPage, startBrowser } from './browser.js';
import { statusOf, withBackend } from './fake-fleet.js';
import { type PageServer, pageServer } from './page-server.js';

const SIZE = { pools: 2, backendsPerPool: 30 };
const skip = missingBrowser() ?? false;
const LATE_MS = 30_000;
const HOSTILE = '<img src=x onerror=alert(1)> \u001b[31m';

/** In the browser: what a screen reader could not call by a name. */
const NAMELESS = `
  [...document.querySelectorAll('button, input, select, table, canvas:not([aria-hidden]), section')]
    .filter((element) =>
      !element.hasAttribute('aria-label') &&
      document.getElementById(element.getAttribute('aria-labelledby')) === null &&
      !(element.labels?.length > 0) &&
      element.textContent.trim() === '')
    .map((element) => element.outerHTML.slice(0, 100))`;

/** In the browser: names, times and addresses that stand in more than one line. */
const BROKEN = `
  [...document.querySelectorAll('tbody .whole')].flatMap((cell) => {
    const range = document.createRange();
    range.selectNodeContents(cell);
    return range.getClientRects().length > 1 ? [cell.textContent] : [];
  })`;

describe('the page', { skip }, () => {
  let browser: Browser;
  let server: PageServer;
  let page: Page;
  let errors: string[];
  let origins: Set<string>;
  let asked = 0;
  let change = (status: NodeStatus): NodeStatus => status;
  const text = async (selector: string): Promise<string> =>
    (await page.locator(selector).first().textContent()) ?? '';

  before(async () => {
    [browser, server] = await Promise.all([
      startBrowser(),
      pageServer({
        status: async () => change(statusOf(SIZE, asked++)),
        events: () => ({
          since: '2026-11-30T00:00:00.000Z',
          events: [{ at: '2026-11-30T00:30:00.000Z', level: 'warn', event: 'health', message: HOSTILE }],
        }),
      }),
    ]);
    ({ page, errors, origins } = await openPage(browser));
    await page.goto(server.url);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  it('claims nothing while no node has answered', async () => {
    const early = await openPage(browser);
    await early.page.route('**/api/stream', () => undefined);
    await early.page.goto(server.url);
    await early.page.getByText('Waiting for the node.').waitFor();
    await early.page.locator('#trouble .empty').waitFor({ state: 'attached' });
    assert.equal(await early.page.locator('.empty:visible, button.plain:visible').count(), 0);
    const line = "getComputedStyle(document.getElementById('sentence')).borderLeftColor";
    const undecided = await early.page.evaluate(line);
    await early.page.evaluate("document.getElementById('sentence').dataset.state = 'good'");
    assert.notEqual(await early.page.evaluate(line), undecided, 'no colour of health');
    await early.page.close();
  });

  it('says in one sentence that all is well, and shows what others wrote as text', async () => {
    await page.getByText('All 60 backends up.').waitFor({ timeout: LATE_MS });
    assert.equal(await text('#age'), 'live');
    await page.locator('#events').getByText('<img src=x onerror=alert(1)> \\u001b[31m').waitFor();
  });

  it('turns red when a backend goes down, names it with the reason, and shows it first', async () => {
    change = (status) => {
      const down = { health: 'down' as const, healthReason: 'connection refused' };
      const drain = { since: status.startedAt, deadline: status.startedAt, connections: 41, done: false };
      const one = withBackend(status, 'pool-2', 'web-17', down);
      return withBackend(one, 'pool-1', 'web-3', { state: 'draining', drain });
    };
    await page.getByText('1 backend of 60 down; 1 backend draining.').waitFor({ timeout: LATE_MS });
    assert.match(await text('#troubles li'), /^pool-2: web-17 is down for .*: connection refused$/);
    assert.match(await text('#trouble tbody tr'), /pool-2\/web-17.*down.*connection refused/);
    assert.equal(await text('#trouble td[data-state=bad]'), 'down');
    assert.match(await text('#backends tbody tr'), /pool-2\/web-17/);
    assert.match(await text('#drains tbody tr'), /pool-1\/web-3.*41/);
  });

  it('keeps names, times and addresses in one line, each', async () => {
    for (const section of ['#trouble', '#drains', '#services', '#backends', '#events'])
      await page.locator(`${section} tbody .whole`).first().waitFor({ timeout: LATE_MS });
    assert.deepEqual(await page.evaluate(BROKEN), []);
  });

  it('is as wide as a phone, light and dark', async () => {
    const grounds = new Set<string>();
    await page.setViewportSize({ width: 360, height: 740 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
      grounds.add(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
    }
    assert.equal(grounds.size, 2);
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  it('can be used by keyboard: to the content, through a table, by an order, by a name', async () => {
    await page.evaluate('document.activeElement.blur()');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate('document.activeElement.id'), 'main');
    const backends = page.locator('#backends');
    await backends.getByRole('button', { name: 'next' }).focus();
    await page.keyboard.press('Enter');
    await backends.getByText('26 to 50 of 60').waitFor();
    await backends.getByRole('button', { name: 'Packets/s' }).focus();
    await page.keyboard.press('Enter');
    await page.locator('#backends th[aria-sort=descending]').waitFor();
    await backends.getByLabel('Find').fill('Pool-2/WEB-7');
    await page.locator('#backends tbody tr').nth(1).waitFor({ state: 'detached', timeout: LATE_MS });
    assert.match(await text('#backends tbody tr'), /^pool-2\/web-7/);
  });

  it('has a name for every control, table and picture, and a heading for every section', async () => {
    const nameless = await page.evaluate(NAMELESS);
    assert.deepEqual(nameless, []);
  });

  it('says that what it shows is stale when the node stops answering, and is live again when it answers', async () => {
    change = () => {
      throw new Error('the node is stuck');
    };
    await page.locator('#stale').waitFor({ timeout: LATE_MS });
    assert.match(await text('#stale'), /^Stale: .*What you see is of \d\d:/);
    change = (status) => status;
    await page.locator('#stale').waitFor({ state: 'hidden', timeout: LATE_MS });
    await page.getByText('All 60 backends up.').waitFor({ timeout: LATE_MS });
  });

  it('asks anew when a connection is dead that nobody ended, and for tables that could not be had', async () => {
    const { page: other } = await openPage(browser);
    await other.clock.install();
    let streams = 0;
    await other.route('**/api/stream', (route) => (++streams === 1 ? undefined : route.continue()));
    await other.goto(server.url);
    await other.waitForFunction('document.readyState === "complete"');
    assert.match((await other.locator('#age').textContent()) ?? '', /^(no data yet)?$/);
    await other.clock.fastForward(30_000);
    await other.getByText('All 60 backends up.').waitFor({ timeout: LATE_MS });
    const asksTables = () =>
      other.waitForRequest((request) => request.url().includes('/api/slots'), { timeout: LATE_MS });
    await Promise.all([asksTables(), other.locator('#slots').scrollIntoViewIfNeeded()]);
    await other.getByText('The tables cannot be shown').waitFor({ timeout: LATE_MS });
    await Promise.all([asksTables(), other.clock.fastForward(15_000)]);
    await other.close();
  });

  it('asks nobody but the node, breaks no rule of its policy, and asks nothing when nobody watches', async () => {
    assert.deepEqual([...origins], [server.url]);
    // The node of this test has no tables for the slot map.
    assert.deepEqual(
      errors.filter((error) => !error.includes('status of 404')),
      [],
    );
    await page.close();
    const until = Date.now() + LATE_MS;
    let before: number;
    // A question may be on its way.
    do {
      before = asked;
      await delay(1_500);
    } while (asked > before && Date.now() < until);
    assert.equal(asked, before);
  });
});
