/** `docs/reference/alerts.md`: what each alert means, from the rules themselves. */
import { ALERTS } from '../monitoring/alerts.js';
import { cell, code, page, table } from './markdown.js';

const TITLES: Readonly<Record<string, string>> = {
  forwarding: 'Forwarding',
  fleet: 'The fleet as one',
  backends: 'Backends and agents',
  floods: 'Floods',
  around: 'Announcing, layer 7, processes',
};

export function alertPage(): string {
  return page(
    'Alerts',
    '`scripts/monitoring/alerts.ts`',
    'What the rules of `scripts/monitoring/anyhop.rules.yml` watch. [Monitoring](../monitoring.md) says how to install them.',
    ...Object.entries(ALERTS).flatMap(([group, alerts]) => [
      `## ${TITLES[group] ?? group}`,
      table(
        ['alert', 'severity', 'after', 'what', 'what to do'],
        alerts.map(({ name, severity, for: duration, what, todo }) => [
          code(name),
          severity,
          duration,
          cell(labelled(what)),
          cell(labelled(todo)),
        ]),
      ),
    ]),
  );
}

/** `{{ $labels.pool }}` as a reader of the page wants it. */
function labelled(text: string): string {
  return text
    .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => label.toUpperCase())
    .replaceAll(/\{\{ \$value[^}]*\}\}/g, 'so long');
}
