/** `docs/reference/doctor.md`: what `anyhop doctor` looks at, from the checks themselves. */
import { WHERE, type Where } from '#anyhop/doctor/check.js';
import { CHECKS } from '#anyhop/doctor/checks.js';
import { cell, code, page, table } from './markdown.js';

const TITLES: Readonly<Record<Where, string>> = {
  forwarder: 'On a forwarder',
  backend: 'On a backend',
  proxy: 'On a proxy host',
  router: 'On a Linux router in front of the forwarders',
};

export function doctorPage(): string {
  return page(
    'Checks of the doctor',
    '`src/doctor/checks/`',
    'What `anyhop doctor` looks at. The names are stable; `--json` has them. [Doctor](../doctor.md) says how to use it.',
    ...WHERE.flatMap((where) => {
      const here = CHECKS.filter((check) => check.where.includes(where));
      return [
        `## ${TITLES[where]}`,
        table(
          ['check', 'looks'],
          here.map(({ name, looks }) => [code(name), cell(looks)]),
        ),
      ];
    }),
  );
}
