/**
 * A config text with other lists of backends in some pools, or of servers in some upstreams, and everything else byte for byte as it was.
 * The lists belong to the program (`backends_from`, `servers_from`), so they are written anew; entries that stay keep their fields.
 */
import { isDeepStrictEqual } from 'node:util';
import { isMap, isSeq, type YAMLMap, type YAMLSeq } from 'yaml';
import { isRecord } from '../../core/is-record.js';
import { parseAddress } from '../../packet/address.js';
import { GROUP_KINDS, type GroupKey, groupOf } from '../discover/kinds.js';
import { ConfigDocument } from '../document.js';
import { readBack } from './edit.js';
import { mayMention } from './mention.js';
import { endOfLine, insertion, lineEnd, lineStart, type Splice, spliced } from './splice.js';
import { endOf, sliceOf, writtenLike } from './style.js';
import { EditTree } from './tree.js';

/** A backend or a server, as far as discovery writes it. */
export interface Standing {
  readonly name: string;
  readonly address: string;
  /** Of a server. */
  readonly port?: number | undefined;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  /** Whether discovery drains it. */
  readonly leaves: boolean;
}

/** All members of pools and upstreams. */
export type FoundGroups = ReadonlyMap<GroupKey, readonly Standing[]>;

/** A member as it stands in a text. */
type Entry = Readonly<Record<string, unknown>>;

/** Fields that discovery writes, each with what it means to leave it out. */
const OTHERWISE = { weight: 1, state: 'active', leaves: false } as const;

const MENTIONED = /(?:backends|servers)_from/;

/** Whether a config may have groups that sources fill; their shape is for the schema to check. */
export function mentionsDiscovery(text: string): boolean {
  return mayMention(text, MENTIONED);
}

/**
 * @param text without byte order mark
 * @param found of groups that the text does not have, or has without a source, nothing is taken
 * @param former a text whose entries keep their other fields; the text itself when left out
 * @throws ConfigError when the text is no good YAML, or is written in a way in which a list cannot be changed alone
 */
export function withFound(text: string, file: string, found: FoundGroups, former = text): string {
  const tree = new EditTree(text, file);
  const formerValue = former === text ? tree.value : new ConfigDocument(former, file).value;
  const lists = [...found].flatMap(([key, members]): (readonly [GroupKey, Entry[]])[] => {
    const { kind } = groupOf(key);
    const { list: field, from } = GROUP_KINDS[kind];
    const group = groupIn(tree.value, key);
    if (group?.[from] === undefined) return [];
    const before = entriesOf(groupIn(formerValue, key)?.[field]);
    const list = members.map((one) => entryOf(one, before.get(one.name)));
    return isDeepStrictEqual(group[field], list) ? [] : [[key, list]];
  });
  if (lists.length === 0) return text;
  const after = spliced(
    text,
    lists.map(([key, list]) => spliceOf(tree, key, list)),
  );
  const wanted = structuredClone(tree.value);
  for (const [key, list] of lists) groupIn(wanted, key)![GROUP_KINDS[groupOf(key).kind].list] = list;
  if (!isDeepStrictEqual(readBack(after, file), wanted))
    throw tree.refused(pathOf(lists[0]![0]), 'found a way of writing that is too special');
  return after;
}

/** Where a pool or an upstream is in a config. */
export function pathOf(key: GroupKey): string[] {
  const { kind, name } = groupOf(key);
  return [...GROUP_KINDS[kind].at, name];
}

/** The mapping of a pool or an upstream in a value. */
export function groupIn(value: unknown, key: GroupKey): Record<string, unknown> | undefined {
  let found = value;
  for (const step of pathOf(key))
    found = isRecord(found) && Object.hasOwn(found, step) ? found[step] : undefined;
  return isRecord(found) ? found : undefined;
}

function entryOf(one: Standing, before: Entry | undefined): Entry {
  const { name, address, port } = one;
  const isSame = parseAddress(String(before?.['address']))?.text === address && before?.['port'] === port;
  const entry: Record<string, unknown> = isSame
    ? { ...before }
    : { name, address, ...(port !== undefined && { port }) };
  for (const [key, otherwise] of Object.entries(OTHERWISE)) {
    const value = one[key as keyof typeof OTHERWISE];
    if (value === otherwise) delete entry[key];
    else entry[key] = value;
  }
  return entry;
}

/** By name. */
function entriesOf(list: unknown): ReadonlyMap<string, Entry> {
  return new Map(
    (Array.isArray(list) ? (list as unknown[]) : []).flatMap((entry): [string, Entry][] =>
      isRecord(entry) && typeof entry['name'] === 'string' ? [[entry['name'], entry]] : [],
    ),
  );
}

function spliceOf(tree: EditTree, key: GroupKey, list: readonly Entry[]): Splice {
  const { text } = tree;
  const eol = endOfLine(text);
  const entries = list.map(written);
  const field = GROUP_KINDS[groupOf(key).kind].list;
  const path = pathOf(key);
  const group = tree.mappingAt(path);
  const hasList = listOf(tree, field, path, group);
  if (hasList === undefined) {
    const [first] = group.items;
    const at = sliceOf(first!.key)[0];
    if (group.flow) return insertion(at, `${field}: [${entries.join(', ')}], `);
    const indent = text.slice(lineStart(text, at), at).replace(/[^ ]/g, ' ');
    const lines = entries.map((entry) => `${indent}  - ${entry}${eol}`).join('');
    return insertion(at, `${field}:${eol}${lines}${indent}`);
  }
  const [from, to] = sliceOf(hasList);
  if (hasList.flow) return { from, to, text: `[${entries.join(', ')}]` };
  const indent = text.slice(lineStart(text, from), from).replace(/[^ ]/g, ' ');
  const last = hasList.items.at(-1);
  const end =
    isMap(last) && !last.flow && last.items.length > 0 ? endOf(last.items.at(-1)!) : sliceOf(last)[1];
  return {
    from,
    to: lineEnd(text, end),
    text: entries.map((entry) => `- ${entry}`).join(`${eol}${indent}`),
  };
}

function listOf(tree: EditTree, field: string, path: readonly string[], group: YAMLMap): YAMLSeq | undefined {
  const value = tree.fieldOf(group, field, path);
  if (value === undefined) return undefined;
  const list = tree.listAt([...path, field]);
  for (const [index, entry] of list.items.entries()) {
    const place = [...path, field, index];
    tree.requireOwn(entry, place);
    if (isMap(entry)) tree.requireNoAnchor(entry, place);
  }
  return isSeq(list) && list.items.length > 0 ? list : undefined;
}

function written(entry: Entry): string {
  const fields = Object.entries(entry).map(
    ([key, value]) => `${key}: ${writtenLike(undefined, value as string | number | boolean)}`,
  );
  return `{ ${fields.join(', ')} }`;
}
