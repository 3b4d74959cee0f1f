/** Pools that a source fills, in commands of the operator: their backends stay as they are in force, whatever a file says. */
import { withFound } from '../config/edit/found.js';
import { parseConfig } from '../config/load.js';
import type { LoadedConfig } from '../config/types.js';
import { standingOf } from '../discover/decide.js';
import type { MemberView } from '../fleet/view.js';
import { type Candidate, candidateOf } from './fleet-change.js';

/** @throws ConfigError also when a pool has no backends, neither in the text nor in force */
export function keepingFound(text: string, file: string, before: Candidate | undefined): Candidate {
  const { pools } = parseConfig(text, file, { role: 'pools', mayLackBackends: true });
  const found = pools.flatMap(({ name, backends, backendsFrom }) => {
    const was = before?.config.pools.find((each) => each.name === name);
    const isStart = was?.backendsFrom === undefined && backends.length > 0;
    return backendsFrom === undefined || was === undefined || isStart
      ? []
      : [[name, standingOf(was.backends)] as const];
  });
  return candidateOf(withFound(text, file, new Map(found), before?.text), file);
}

/** What an operator should know of pools that a source fills. */
export function notesOnFound({ pools, discoverers }: LoadedConfig, before: Candidate | undefined): string[] {
  const found = pools.filter(({ backendsFrom }) => backendsFrom !== undefined);
  if (found.length === 0) return [];
  const stay = found.flatMap(({ name, backends }) =>
    before?.config.pools.some((each) => each.name === name && each.backendsFrom !== undefined)
      ? [`pool ${name}: its ${backends.length} backends stay, since a source fills it (backends_from)`]
      : [],
  );
  const none =
    'no node may put backends in force that it finds: `anyhop fleet status` prints the section discover that is missing';
  return [...stay, ...(discoverers.size === 0 ? [none] : [])];
}

/** The lines that a config lacks, so that nodes may put in force what they find; empty when it lacks none. */
export function missingKeys({ pools, discoverers }: LoadedConfig, members: readonly MemberView[]): string[] {
  if (pools.every(({ backendsFrom }) => backendsFrom === undefined)) return [];
  const unlisted = members.flatMap(({ role, name, said }) => {
    const listed = discoverers.get(name);
    const isListed = listed !== undefined && Buffer.from(listed).toString('base64') === said?.publicKey;
    return role === 'forwarder' && said?.publicKey !== undefined && !isListed
      ? [`    ${name}: "${said.publicKey}"`]
      : [];
  });
  return unlisted.length === 0 ? [] : ['discover:', '  keys:', ...unlisted];
}
