/**
 * The tables of a frontend as HAProxy's map files: one key, one space, one value a line, sorted. HAProxy reads a line up to its
 * end and takes a `#` at its start for a comment, so keys and values are held to characters that mean nothing there.
 */
import { nodeAction } from './action.js';
import type { CompiledRoutes } from './compile.js';
import type { Source } from './conditions.js';

export const MAP_FILES = {
  /** Exact host to group. */
  groups: 'groups.map',
  /** Reversed suffix of a host to group. */
  suffixes: 'suffixes.map',
  /** Group and path to action. */
  paths: 'paths.map',
  /** Value, source and node to action; node to its last action. */
  conditions: 'conditions.map',
} as const;

/** Text of each file by its name; a file without entries is left out, and no rule reads it. */
export function mapFiles(compiled: CompiledRoutes): Map<string, string> {
  const { hosts, suffixes, entries, nodes } = compiled;
  const conditions = nodes.flatMap(({ tests, last }, number): [string, string][] => [
    ...tests.flatMap(({ source, next }) =>
      [...next].map(([value, action]): [string, string] => [conditionKey(value, source, number), action]),
    ),
    ...(last === undefined ? [] : [[nodeAction(number), last] as [string, string]]),
  ]);
  const tables: [string, [string, string][]][] = [
    [MAP_FILES.groups, [...hosts].map((host) => [host, host])],
    [MAP_FILES.suffixes, [...suffixes]],
    [MAP_FILES.paths, [...entries.values()].map(({ key, action }) => [key, action])],
    [MAP_FILES.conditions, conditions],
  ];
  return new Map(
    tables.filter(([, lines]) => lines.length > 0).map(([name, lines]) => [name, mapText(lines)]),
  );
}

/** What stands behind the value in a key of `conditions.map`, before the node. */
export function conditionKeyMiddle(source: Source): string {
  return `/${source}/`;
}

function conditionKey(value: string, source: Source, node: number): string {
  return `${urlEncoded(value)}${conditionKeyMiddle(source)}${nodeAction(node)}`;
}

/** As HAProxy's converter `url_enc`: everything but letters, digits and `-._~`. */
function urlEncoded(value: string): string {
  if (!/^[ -~]*$/.test(value)) throw new RangeError(`not fit for a map file: ${JSON.stringify(value)}`);
  return Buffer.from(value, 'latin1').reduce((text, byte) => {
    const char = String.fromCharCode(byte);
    return (
      text + (/[A-Za-z0-9._~-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
    );
  }, '');
}

const KEY = /^[!-~]+$/;
const VALUE = /^[!-~]+$/;

/** @throws RangeError for what the config never lets through */
function mapText(lines: readonly (readonly [string, string])[]): string {
  for (const [key, value] of lines)
    if (!KEY.test(key) || key.startsWith('#') || !VALUE.test(value))
      throw new RangeError(`not fit for a map file: ${JSON.stringify([key, value])}`);
  return lines
    .map(([key, value]) => `${key} ${value}\n`)
    .sort()
    .join('');
}
