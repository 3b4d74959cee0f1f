/**
 * The lists of a config file, for commands that ask no node: `check` warns of files that a node would not put in force (it starts all the
 * same, docs/defend.md); `which` and `replay` look sources up in what is good of them now.
 */
import type { DefendConfig } from '../config/defend/types.js';
import type { ConfigProblem } from '../config/error.js';
import { LISTS_PREFIXES_MAX } from '../core/limits.js';
import { PrefixColumns, type Prefixes, prefixCount } from '../lists/columns.js';
import { compileLists } from '../lists/compile.js';
import { readList } from '../lists/files.js';
import { prefixesOf } from '../lists/lists-status.js';

const LISTS = ['allow', 'block'] as const;
type List = (typeof LISTS)[number];

interface Read {
  readonly lists: Readonly<Record<List, readonly Prefixes[]>>;
  /** With the path, and the line where there is one. */
  readonly problems: readonly { readonly list: List; readonly text: string }[];
}

/** @param file the config's */
export function warnAboutListFiles(defend: DefendConfig | undefined, file: string): ConfigProblem[] {
  if (defend === undefined) return [];
  const { lists, problems } = read(defend);
  const count = LISTS.flatMap((list) => lists[list]).reduce((sum, each) => sum + prefixCount(each), 0);
  const tooMany = `found ${count} prefixes in all; expected ${LISTS_PREFIXES_MAX} at most: a file that is too much is not put in force`;
  return [
    ...problems.map(({ list, text }) => ({ field: `defend.${list}`, message: text })),
    ...(count > LISTS_PREFIXES_MAX ? [{ field: 'defend', message: tooMany }] : []),
  ].map((warning) => ({ file, line: 0, column: 0, ...warning }));
}

/** Compiled; undefined when nothing is listed. @param note told what is left out */
export function compiledListsOf(
  defend: DefendConfig | undefined,
  note: (text: string) => void,
): Uint8Array | undefined {
  if (defend === undefined) return undefined;
  const { lists, problems } = read(defend);
  for (const { list, text } of problems) note(`defend.${list}: ${text}; nothing of this file is looked at`);
  const compiled = compileLists(lists);
  return compiled && new Uint8Array(compiled);
}

function read(defend: DefendConfig): Read {
  const problems: { list: List; text: string }[] = [];
  const of = (list: List): Prefixes[] => [
    PrefixColumns.of(prefixesOf(defend[list])),
    ...defend[list].flatMap((source) => {
      if (source.kind === 'prefix') return [];
      const found = readList(source.path);
      if (!('problem' in found)) return found.prefixes;
      problems.push(...found.problem.split('\n').map((text) => ({ list, text })));
      return [];
    }),
  ];
  return { lists: { allow: of('allow'), block: of('block') }, problems };
}
