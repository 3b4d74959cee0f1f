/** What another config changes of the defence of services, in words, for `plan` and `reload`. */
import { listed } from '../../core/listed.js';
import type { Config } from '../types.js';
import { serviceRateText, sourceRateText } from './rules-text.js';
import type { DefendConfig, DefendRules, ListSource } from './types.js';

const NONE = 'off';

/** Services that change alike together: there may be thousands. */
export function describeDefence(
  before: Pick<Config, 'defend' | 'services'>,
  after: Pick<Config, 'defend' | 'services'>,
): string[] {
  const were = new Set(before.services.map(({ name }) => name));
  const changed = new Map<string, string[]>();
  for (const { name } of after.services.filter((service) => were.has(service.name)))
    for (const what of differences(
      partsOf(before.defend?.rules.get(name)),
      partsOf(after.defend?.rules.get(name)),
    )) {
      const names = changed.get(what) ?? [];
      names.push(name);
      changed.set(what, names);
    }
  const rules = [...changed].map(([what, names]) => `${listed(names)}: ${what}`);
  const lists = differences(listsOf(before.defend), listsOf(after.defend)).map((what) => `defend.${what}`);
  return [...rules, ...lists, ...keyChanges(before.defend, after.defend)];
}

type Parts = Readonly<Record<string, string>>;

function differences(before: Parts, after: Parts): string[] {
  return Object.keys(after).flatMap((part) =>
    before[part] === after[part] ? [] : `${part} ${before[part]} -> ${after[part]}`,
  );
}

function partsOf(rules: DefendRules | undefined): Parts {
  const { sourceRate, serviceRate, synCookies, lists = NONE } = rules ?? {};
  return {
    lists,
    source_rate: sourceRate === undefined ? NONE : `${sourceRateText(sourceRate)} (${sourceRate.mode})`,
    service_rate: serviceRate === undefined ? NONE : `${serviceRateText(serviceRate)} (${serviceRate.mode})`,
    syn_cookies: synCookies === undefined ? NONE : `${synCookies.when} (${synCookies.mode})`,
  };
}

function listsOf(defend: DefendConfig | undefined): Parts {
  const text = (list: readonly ListSource[] = []): string =>
    list.length === 0
      ? 'nothing'
      : list.map((source) => (source.kind === 'file' ? source.path : source.prefix.text)).join(', ');
  return { allow: text(defend?.allow), block: text(defend?.block) };
}

function keyChanges(before: DefendConfig | undefined, after: DefendConfig | undefined): string[] {
  const key = (defend: DefendConfig | undefined): string => {
    const { own, fleet } = defend?.cookies ?? {};
    return Buffer.from((own ?? fleet)?.reveal() ?? []).toString('hex');
  };
  if (before === undefined || after === undefined || key(before) === key(after)) return [];
  return ['defend: another key of SYN cookies: backends take none of this node until their agents have it'];
}
