/** Rules on each route by itself: its conditions, and one target that is there. */
import { quote } from '../path.js';
import { checkConditions } from './header-rules.js';
import { type DraftRoute, type Judge, meant } from './judge.js';

/** @param upstreams their names; undefined when they are not known */
export function checkRoute(
  route: DraftRoute,
  upstreams: ReadonlySet<string> | undefined,
  judge: Judge,
): void {
  const { at, written, wrong, path, to } = route;
  const { report, warn } = judge;
  checkConditions(route, judge);
  const targets = ['to', 'redirect'].filter((field) => written.has(field));
  if (targets.length === 0) report(at, 'found neither to nor redirect; expected one of the two');
  if (targets.length === 2)
    report([...at, 'redirect'], 'found both to and redirect; expected one of the two', 'key');
  if (written.has('status') && !written.has('redirect'))
    report([...at, 'status'], 'found without redirect; expected only with redirect', 'key');
  if (path.includes('*') && !wrong.has('path'))
    warn([...at, 'path'], '"*" stands for itself in a path; a path takes everything below it without one');
  if (to !== undefined && upstreams !== undefined && !upstreams.has(to))
    report(
      [...at, 'to'],
      `found ${quote(to)}, which is not an upstream; ${meant(to, upstreams, 'an upstream under l7.upstreams')}`,
    );
}
