/** The dashboard as the listener of a node mounts it (src/web/pages.ts): the listener's thread loads mount.js, this thread does not. */
import type { PagesSetup } from '../web/mail.js';
import type { DashboardData } from './mount.js';

export function dashboardPages(data: DashboardData): PagesSetup {
  return { module: new URL('./mount.js', import.meta.url).href, data };
}
