/**
 * A config text with other lists of backends in some pools, and everything else byte for byte as it was. The lists belong to the program
 * (`backends_from`), so they are written anew; entries that stay keep their fields.
 */
import { isDeepStrictEqual } from 'node:util';
import { isMap, isSeq, type YAMLMap, type YAMLSeq } from 'yaml';
import { isRecord } from '../../core/is-record.js';
import { parseAddress } from '../../packet/address.js';
import { ConfigDocument } from '../document.js';
import { readBack } from './edit.js';
import { endOfLine, insertion, lineEnd, lineStart, type Splice, spliced } from './splice.js';
import { endOf, sliceOf, writtenLike } from './style.js';
import { EditTree } from './tree.js';

/** A backend, as far as discovery writes it. */
export interface Standing {
  readonly name: string;
  readonly address: string;
  readonly weight: number;
  readonly state: 'active' | 'draining';
  /** Whether discovery drains it. */
  readonly leaves: boolean;
}

/** All backends of pools, by the name of the pool. */
export type FoundPools = ReadonlyMap<string, readonly Standing[]>;

/** A backend as it stands in a text. */
type Entry = Readonly<Record<string, unknown>>;

/** Fields that discovery writes, each with what it means to leave it out. */
const OTHERWISE = { weight: 1, state: 'active', leaves: false } as const;

const MENTIONED = /backends_from/;

/** Whether a config may have pools with `backends_from`; their shape is for the schema to check. */
export function mentionsDiscovery(text: string): boolean {
  return MENTIONED.test(text);
}

/**
 * @param text without byte order mark
 * @param found of pools that the text does not have, or has without `backends_from`, nothing is taken
 * @param former a text whose entries keep their other fields; the text itself when left out
 * @throws ConfigError when the text is no good YAML, or is written in a way in which a list cannot be changed alone
 */
export function withFound(text: string, file: string, found: FoundPools, former = text): string {
  const tree = new EditTree(text, file);
  const pools = poolsOf(tree.value);
  const formerPools = former === text ? pools : poolsOf(new ConfigDocument(former, file).value);
  const lists = [...found].flatMap(([name, backends]): (readonly [string, Entry[]])[] => {
    const pool = pools[name];
    if (!isRecord(pool) || pool['backends_from'] === undefined) return [];
    const before = entriesOf(formerPools[name]);
    const list = backends.map((one) => entryOf(one, before.get(one.name)));
    return isDeepStrictEqual(pool['backends'], list) ? [] : [[name, list]];
  });
  if (lists.length === 0) return text;
  const after = spliced(
    text,
    lists.map(([name, list]) => spliceOf(tree, name, list)),
  );
  const wanted = structuredClone(tree.value);
  for (const [name, list] of lists) (poolsOf(wanted)[name] as Record<string, unknown>)['backends'] = list;
  if (!isDeepStrictEqual(readBack(after, file), wanted))
    throw tree.refused(['pools', lists[0]![0]], 'found a way of writing that is too special');
  return after;
}

function entryOf(one: Standing, before: Entry | undefined): Entry {
  const { name, address } = one;
  const isSame = parseAddress(String(before?.['address']))?.text === address;
  const entry: Record<string, unknown> = isSame ? { ...before } : { name, address };
  for (const [key, otherwise] of Object.entries(OTHERWISE)) {
    const value = one[key as keyof typeof OTHERWISE];
    if (value === otherwise) delete entry[key];
    else entry[key] = value;
  }
  return entry;
}

/** By name. */
function entriesOf(pool: unknown): ReadonlyMap<string, Entry> {
  const list = isRecord(pool) && Array.isArray(pool['backends']) ? (pool['backends'] as unknown[]) : [];
  return new Map(
    list.flatMap((entry): [string, Entry][] =>
      isRecord(entry) && typeof entry['name'] === 'string' ? [[entry['name'], entry]] : [],
    ),
  );
}

function poolsOf(value: unknown): Record<string, unknown> {
  return isRecord(value) && isRecord(value['pools']) ? value['pools'] : {};
}

function spliceOf(tree: EditTree, name: string, list: readonly Entry[]): Splice {
  const { text } = tree;
  const eol = endOfLine(text);
  const entries = list.map(written);
  const pool = tree.poolOf(name);
  const hasList = listOf(tree, name, pool);
  if (hasList === undefined) {
    const [first] = pool.items;
    const at = sliceOf(first!.key)[0];
    if (pool.flow) return insertion(at, `backends: [${entries.join(', ')}], `);
    const indent = text.slice(lineStart(text, at), at).replace(/[^ ]/g, ' ');
    const lines = entries.map((entry) => `${indent}  - ${entry}${eol}`).join('');
    return insertion(at, `backends:${eol}${lines}${indent}`);
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

function listOf(tree: EditTree, name: string, pool: YAMLMap): YAMLSeq | undefined {
  const value = tree.fieldOf(pool, 'backends', ['pools', name]);
  if (value === undefined) return undefined;
  const list = tree.backendsOf(name);
  for (const [index, entry] of list.items.entries()) {
    const path = ['pools', name, 'backends', index];
    tree.requireOwn(entry, path);
    if (isMap(entry)) tree.requireNoAnchor(entry, path);
  }
  return isSeq(list) && list.items.length > 0 ? list : undefined;
}

function written(entry: Entry): string {
  const fields = Object.entries(entry).map(
    ([key, value]) => `${key}: ${writtenLike(undefined, value as string | number | boolean)}`,
  );
  return `{ ${fields.join(', ')} }`;
}
