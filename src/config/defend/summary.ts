/** What defends each service, as plain values, for `anyhop check`. */
import type { DefendConfig, DefendRules, ListSource } from './types.js';

export type DefendSummary = ReturnType<typeof summarizeDefend>;

export function summarizeDefend({ mode, allow, block, rules }: DefendConfig) {
  return {
    mode,
    allow: allow.map(fromOf),
    block: block.map(fromOf),
    services: [...rules].map(([name, one]) => ({ name, ...summarizeRules(one) })),
  };
}

function fromOf(source: ListSource): string {
  return source.kind === 'file' ? source.path : source.prefix.text;
}

function summarizeRules({ lists, sourceRate, serviceRate, synCookies, ownSources }: DefendRules) {
  return {
    lists,
    ...(sourceRate && { sourceRate: { ...sourceRate, own: ownSources } }),
    ...(serviceRate && { serviceRate }),
    ...(synCookies && { synCookies }),
  };
}
