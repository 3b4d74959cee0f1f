/** What `anyhop status` says of a node's defence: a line, and one for each thing that needs somebody. `anyhop defend status` has the rest. */
import type { DefendSummary } from '../api/defend.js';
import { lasting, short } from '../core/figures.js';
import { printable } from '../core/printable.js';
import { attackText } from '../view/defence-troubles.js';
import { someOf } from './format.js';

export function drawDefence(defend: DefendSummary | undefined, now: Date): [string, string][] {
  if (defend === undefined) return [];
  const { mode, services, lists, attacks, withoutCookies } = defend;
  const absorbed = (effect: 'did' | 'would'): number =>
    services.reduce((sum, service) => sum + service.absorbed[effect], 0);
  const active = services.flatMap(({ name, cookies }) => (cookies === 'active' ? name : []));
  const parts = [
    `mode ${mode}`,
    `${short(lists.block)} prefixes blocked, ${short(lists.allow)} allowed`,
    ...(absorbed('did') > 0 ? [`${short(absorbed('did'))} packets/s dropped or answered`] : []),
    ...(absorbed('would') > 0 ? [`${short(absorbed('would'))} packets/s would have been`] : []),
    ...(active.length > 0 ? [`SYN cookies for ${someOf(active)}`] : []),
  ];
  return [
    ['defend', parts.join('; ')],
    ...attacks.map(({ service, kind, since, rate, peak }): [string, string] => [
      'UNDER ATTACK',
      `${service}: ${attackText(kind)} for ${lasting(now.getTime() - Date.parse(since))}, ${short(rate)}/s now, ${short(peak)}/s at most`,
    ]),
    ...lists.problems.map((problem): [string, string] => ['LIST NOT READ', printable(problem)]),
    ...(withoutCookies.length === 0
      ? []
      : [
          [
            'NO SYN COOKIES',
            `for ${someOf(withoutCookies.map(({ pool, backend }) => `${pool}/${backend}`))}: "anyhop defend status" says why`,
          ] as [string, string],
        ]),
  ];
}
