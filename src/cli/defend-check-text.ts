/** What defends which services, for `anyhop check`: services with the same rules together. */

import { serviceRateText, sourceRateText } from '../config/defend/rules-text.js';
import type { DefendSummary } from '../config/defend/summary.js';
import { groupedBy } from '../view/gather.js';
import { aligned, someOf } from './format.js';

type Rules = DefendSummary['services'][number];

/** @param all names of all services */
export function drawDefence({ allow, block, services }: DefendSummary, all: readonly string[]): string[] {
  const lists = listsText(allow, block);
  const groups = groupedBy(services, ({ name: _, ...rules }) => JSON.stringify(rules));
  const defended = new Set(services.map(({ name }) => name));
  const rest = all.filter((name) => !defended.has(name));
  return [
    'defence',
    ...[...groups.values()].flatMap((some) => [
      `  ${someOf(some.map(({ name }) => name))}`,
      ...aligned(ruleRows(some[0], lists)).map((row) => `    ${row}`),
    ]),
    ...(rest.length === 0 ? [] : [`  not defended: ${someOf(rest)}`]),
  ];
}

function listsText(allow: readonly string[], block: readonly string[]): string {
  const said = [
    ...(allow.length === 0 ? [] : [`allow ${someOf(allow, 3)}`]),
    ...(block.length === 0 ? [] : [`block ${someOf(block, 3)}`]),
  ];
  return said.length === 0 ? 'none in the file; anyhop defend block adds to them' : said.join(', ');
}

function ruleRows({ lists, sourceRate, serviceRate, synCookies }: Rules, ofLists: string): string[][] {
  return [
    ...(lists === 'off' ? [] : [['lists', lists, ofLists]]),
    ...(sourceRate === undefined
      ? []
      : [
          [
            'source rate',
            sourceRate.mode,
            `${sourceRateText(sourceRate)}${sourceRate.own ? ', counted for this service alone' : ''}`,
          ],
        ]),
    ...(serviceRate === undefined ? [] : [['service rate', serviceRate.mode, serviceRateText(serviceRate)]]),
    ...(synCookies === undefined ? [] : [['SYN cookies', synCookies.mode, synCookies.when]]),
  ];
}
