/** What sources fill, in commands of the operator: it stays as it is in force, whatever a file says. */
import { GROUP_KINDS } from '../config/discover/kinds.js';
import { mentionsDiscovery, withFound } from '../config/edit/found.js';
import { parseConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/types.js';
import { amount } from '../core/figures.js';
import { type Group, groupsOf, membersIn } from '../discover/groups.js';
import type { MemberView } from '../fleet/view.js';
import { type Candidate, candidateOf } from './fleet-change.js';

/** @throws ConfigError also when a group has no members, neither in the text nor in force */
export function keepingFound(text: string, file: string, before: Candidate | undefined): Candidate {
  if (!mentionsDiscovery(text)) return candidateOf(text, file);
  const found = groupsOf(parseConfig(text, file, { role: 'pools', mayLackFound: true })).flatMap((group) => {
    const was = before && membersIn(before.config, group.key);
    const isStart = !hasSource(before, group) && group.members.length > 0;
    return was === undefined || isStart ? [] : [[group.key, was] as const];
  });
  return candidateOf(withFound(text, file, new Map(found), before?.text), file);
}

function hasSource(candidate: Candidate | undefined, { key }: Group): boolean {
  return candidate !== undefined && groupsOf(candidate.config).some((group) => group.key === key);
}

/** What an operator should know of what sources fill. */
export function notesOnFound(config: LoadedConfig, before: Candidate | undefined): string[] {
  const found = groupsOf(config);
  if (found.length === 0) return [];
  const stay = found.flatMap((group) => {
    const { one, from } = GROUP_KINDS[group.kind];
    return hasSource(before, group)
      ? [`${group.key}: its ${amount(group.members.length, one)} stay, since a source fills it (${from})`]
      : [];
  });
  const none =
    'no node may put in force what it finds: `anyhop fleet status` prints the section discover that is missing';
  return [...stay, ...(config.discoverers.size === 0 ? [none] : [])];
}

/** The lines that a config lacks, so that nodes may put in force what they find; empty when it lacks none. */
export function missingKeys(config: LoadedConfig, members: readonly MemberView[]): string[] {
  if (groupsOf(config).length === 0) return [];
  const { discoverers } = config;
  const unlisted = members.flatMap(({ role, name, said }) => {
    const listed = discoverers.get(name);
    const isListed = listed !== undefined && Buffer.from(listed).toString('base64') === said?.publicKey;
    return role === 'forwarder' && said?.publicKey !== undefined && !isListed
      ? [`    ${name}: "${said.publicKey}"`]
      : [];
  });
  return unlisted.length === 0 ? [] : ['discover:', '  keys:', ...unlisted];
}
