/** Debian's Chromium, driven by playwright-core. */
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const PROGRAM = '/usr/bin/chromium';

/** Why there is none, or undefined when there is. */
export function missingBrowser(): string | undefined {
  return existsSync(PROGRAM) ? undefined : 'needs chromium (scripts/setup.sh observe)';
}

export function startBrowser(): Promise<Browser> {
  // Inside a container, or as root, Chromium's own sandbox cannot be made; the pages are the project's own.
  return chromium.launch({ executablePath: PROGRAM, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

export interface Watched {
  readonly page: Page;
  /** What went wrong on the page: errors, and what its policy refused. */
  readonly errors: string[];
  /** Origins that the page asked. */
  readonly origins: Set<string>;
}

/** A page of its own in a profile of its own. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const errors: string[] = [];
  const origins = new Set<string>();
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('request', (request) => origins.add(new URL(request.url()).origin));
  return { page, errors, origins };
}
