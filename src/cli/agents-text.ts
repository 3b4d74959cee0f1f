/** The agents of a pool's backends as text: in a cell what each has, below the table what is wrong, those with the same fault together. */
import type { BackendStatus } from '../api/status.js';
import { amount } from '../core/figures.js';
import { someOf } from './format.js';

const NAMED = 3;

/** `12 conns`, `12 conns, LACKS VIP`, `SILENT`; `-` without an agent. */
export function drawAgent(agent: BackendStatus['agent']): string {
  if (agent === undefined) return '-';
  if (!agent.reachable) return 'SILENT';
  const lacks = agent.missingVips !== undefined || agent.unknownVips !== undefined;
  return `${amount(agent.connections ?? 0, 'conn')}${lacks ? ', LACKS VIP' : ''}`;
}

/** @param version the node's */
export function drawAgents(backends: readonly BackendStatus[], version: string): string[] {
  const silent = backends.filter(({ agent }) => agent?.reachable === false);
  const others = backends.flatMap(({ name, agent }) =>
    agent?.version !== undefined && agent.version !== version ? [`${name} (${agent.version})`] : [],
  );
  const missing = together(backends, ({ agent }) => agent?.missingVips);
  const unknown = together(backends, ({ agent }) => agent?.unknownVips);
  return [
    ...(silent.length === 0 ? [] : [`silent: ${someOf(namesOf(silent), NAMED)}: ${silent[0].agent?.why}`]),
    ...missing.map(
      ([vips, names]) =>
        `VIP ${someOf(vips, NAMED)} is not on the ${names.length === 1 ? 'host' : 'hosts'} of ${someOf(names, NAMED)}, so its packets are ` +
        `dropped there: ip addr add ${vips[0]} dev lo`,
    ),
    ...unknown.map(
      ([vips, names]) =>
        `VIP ${someOf(vips, NAMED)} is not in the config of the ${names.length === 1 ? 'agent' : 'agents'} of ${someOf(names, NAMED)}`,
    ),
    ...(others.length === 0 ? [] : [`agents of another version than this node's: ${someOf(others, NAMED)}`]),
  ];
}

/** Lists that are there, each with the backends that have the same one. */
function together(
  backends: readonly BackendStatus[],
  listOf: (backend: BackendStatus) => readonly string[] | undefined,
): [readonly string[], string[]][] {
  const found = new Map<string, [readonly string[], string[]]>();
  for (const backend of backends) {
    const list = listOf(backend);
    if (list === undefined) continue;
    const key = list.join(' ');
    const same = found.get(key) ?? [list, []];
    same[1].push(backend.name);
    found.set(key, same);
  }
  return [...found.values()];
}

function namesOf(backends: readonly BackendStatus[]): string[] {
  return backends.map(({ name }) => name);
}
