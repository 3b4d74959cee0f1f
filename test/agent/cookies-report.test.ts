/** What an agent reports of its SYN cookies, by what it counts; the program at tc ingress is made up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cookies, type IngressProgram } from '#anyhop/agent/cookies/cookies.js';
import type { CookiesReport } from '#anyhop/agent/report.js';
import { AGENT_COOKIES } from '#anyhop/core/layout.gen.js';
import { Descriptor } from '#anyhop/ffi/descriptor.js';
import { lineLog } from '../underlay/underlay.js';
import { configOf, host } from './cookies-fixture.js';

/** With counts that a former agent has left. */
function started(left: Record<string, number> = {}): {
  counts: Record<string, number>;
  lines: string[];
  look: () => CookiesReport;
} {
  const counts: Record<string, number> = Object.fromEntries(AGENT_COOKIES.map(({ name }) => [name, 0]));
  Object.assign(counts, left);
  const nothing = (): void => {};
  const ingress: IngressProgram = {
    counts: () => ({ ...counts }),
    isAttached: () => true,
    keepPinned: () => false,
    shared: () => ({ clock: new Descriptor(-1), cookies: new Descriptor(-1) }),
    ...{ tick: nothing, attachAgain: nothing, leave: nothing, remove: nothing },
  };
  const lines: string[] = [];
  const place = { directory: '/sys/fs/bpf/agent', interfaceIndex: 1 };
  const cookies = new Cookies(place, lineLog(lines), host(), () => ingress);
  assert.ok(cookies.prepare(configOf()));
  cookies.putInForce();
  return {
    counts,
    lines,
    look: () => {
      cookies.look();
      return cookies.report();
    },
  };
}

const why = (report: CookiesReport): string => (report.ok ? 'it takes cookies' : report.why);

test('an agent takes cookies, whatever the kernel and the driver have refused before it', () => {
  assert.equal(started().look().ok, true);
  assert.equal(started({ refused_kernel: 5, refused_driver: 3 }).look().ok, true);
});

test('takes none once the driver has kept no mark, and says so once', () => {
  const { counts, lines, look } = started();
  counts['refused_driver'] += 1;
  assert.match(why(look()), /the driver of its interface keeps no marks/);
  assert.match(why(look()), /the driver of its interface keeps no marks/);
  assert.equal(lines.filter((line) => line.includes('takes no SYN cookies')).length, 1, lines.join('\n'));
});

test('takes none for a while after the kernel has refused one', () => {
  const { counts, look } = started();
  counts['refused_kernel'] += 1;
  assert.match(why(look()), /has refused a cookie within the last 5m/);
  assert.match(why(look()), /has refused a cookie within the last 5m/);
});
