/**
 * A list of backends with one entry more or less, and an entry with another field, as splices of the text.
 *
 *   block list    - name: web-1               flow list    backends: [{ name: web-1, address: 10.1.0.11 }, ...]
 *                   address: 10.1.0.11
 *
 * A new entry stands last and looks like the one before it. With an entry go the comments on its own lines; comments between entries stay.
 */
import { isMap, isScalar, type Scalar, type YAMLMap, type YAMLSeq } from 'yaml';
import { AnyhopError } from '../../core/errors.js';
import { deletion, endOfLine, insertion, lineEnd, lineStart, nextLine, type Splice } from './splice.js';
import { commaOf, endOf, fieldLike, fieldsLike, flowLike, sliceOf, writtenLike } from './style.js';
import type { EditTree } from './tree.js';
import { type BackendFields, DEFAULTS, type NewBackend, type Target } from './wanted.js';

const COMMA_AND_REST = /^[ \t]*,?[ \t]*(?:#.*)?$/;
const BLANK_LINE = /\n[ \t]*\r?\n/;

interface Token {
  readonly type: string;
  readonly offset: number;
}

/** Of what the parser has found of a list or mapping: tokens before each item, and the column of its items. */
interface Source {
  readonly indent: number;
  readonly items: readonly { readonly start: readonly Token[] }[];
}

export function setFields(tree: EditTree, { pool, index }: Target, fields: BackendFields): Splice[] {
  const path = ['pools', pool, 'backends', index];
  const entry = tree.entryOf(pool, index);
  return (Object.keys(fields) as (keyof BackendFields)[]).flatMap((key): Splice[] => {
    const value = fields[key]!;
    const old = tree.fieldOf(entry, key, path);
    if (old === undefined) return value === DEFAULTS[key] ? [] : [newField(tree.text, entry, key, value)];
    if (!isScalar(old) || old.value === value) return [];
    const [from, to] = sliceOf(old);
    return [{ from, to, text: writtenLike(old, value) }];
  });
}

function newField(text: string, entry: YAMLMap, key: string, value: string | number): Splice {
  const field = fieldLike(text, entry, key, value);
  const at = endOf(entry.items.at(-1)!);
  if (entry.flow) return insertion(at, `${commaOf(text, entry)}${field}`);
  const { indent } = entry.srcToken as unknown as Source;
  return insertion(lineEnd(text, at), `${endOfLine(text)}${' '.repeat(indent)}${field}`);
}

export function addEntry(tree: EditTree, pool: string, entry: NewBackend): Splice[] {
  const { text } = tree;
  const list = tree.backendsOf(pool);
  const last = list.items.at(-1);
  if (!isMap(last)) throw tree.refused(['pools', pool, 'backends'], 'found no backend to write another like');
  return list.flow ? addToFlow(text, list, last, entry) : [addToBlock(text, list, last, entry)];
}

function addToBlock(text: string, list: YAMLSeq, last: YAMLMap, entry: NewBackend): Splice {
  const eol = endOfLine(text);
  const source = list.srcToken as unknown as Source;
  const dash = dashOf(source, list.items.length - 1);
  const gap = /^[ ]+$/.test(text.slice(dash + 1, sliceOf(last)[0]))
    ? text.slice(dash + 1, sliceOf(last)[0])
    : ' ';
  const before = list.items.at(-2);
  const isSpaced = before !== undefined && BLANK_LINE.test(text.slice(endOfEntry(before), dash));
  const indent = ' '.repeat(source.indent);
  const fields = last.flow
    ? flowLike(text, last, entry)
    : fieldsLike(text, last, entry).join(`${eol}${indent} ${gap}`);
  return insertion(lineEnd(text, endOfEntry(last)), `${isSpaced ? eol : ''}${eol}${indent}-${gap}${fields}`);
}

function addToFlow(text: string, list: YAMLSeq, last: YAMLMap, entry: NewBackend): Splice[] {
  const [from, to] = sliceOf(last);
  const fields = flowLike(text, last, entry);
  const end = lineEnd(text, to);
  const rest = text.slice(to, end);
  const indent = text.slice(lineStart(text, from), from);
  if (/^[ \t]*$/.test(indent) && COMMA_AND_REST.test(rest)) {
    const hasComma = /^[ \t]*,/.test(rest);
    const line = `${endOfLine(text)}${indent}${fields}${hasComma ? ',' : ''}`;
    return [...(hasComma ? [] : [insertion(to, ',')]), insertion(end, line)];
  }
  const before = list.items.at(-2);
  const comma = before === undefined ? ', ' : text.slice(sliceOf(before)[1], from);
  return [insertion(to, `${/^,[ \t]*$/.test(comma) ? comma : ', '}${fields}`)];
}

export function removeEntry(tree: EditTree, { pool, index }: Target): Splice[] {
  const { text } = tree;
  const list = tree.backendsOf(pool);
  const entry = tree.entryOf(pool, index);
  if (list.items.length === 1)
    throw new AnyhopError('ERR_USAGE', `the pool ${pool} has no other backend`, {
      hint: 'A pool without backends is none: take the pool and its services out of the config.',
    });
  tree.requireNoAnchor(entry, ['pools', pool, 'backends', index]);
  if (list.flow) return removeFromFlow(text, list, index);
  const dash = dashOf(list.srcToken as unknown as Source, index);
  const from = lineStart(text, dash);
  if (!/^ *$/.test(text.slice(from, dash)))
    throw tree.refused(['pools', pool, 'backends', index], 'found it on the line of something else');
  return [lines(text, from, endOfEntry(entry))];
}

function removeFromFlow(text: string, list: YAMLSeq, index: number): Splice[] {
  const [from, to] = sliceOf(list.items[index]);
  const [before, after] = [list.items[index - 1], list.items[index + 1]];
  const commas = (list.srcToken as unknown as Source).items.map(
    ({ start }) => start.find(({ type }) => type === 'comma')?.offset,
  );
  const [own, next] = [commas[index], commas[index + 1]];
  const start = lineStart(text, from);
  const isAlone =
    /^[ \t]*$/.test(text.slice(start, from)) && COMMA_AND_REST.test(text.slice(to, lineEnd(text, to)));
  if (isAlone) {
    const rest = lines(text, start, to);
    // The one before it was followed by a comma for its sake.
    return after === undefined && next === undefined && own !== undefined
      ? [deletion(own, own + 1), rest]
      : [rest];
  }
  if (after !== undefined) {
    const end = /^[ \t]*,[ \t]*$/.test(text.slice(to, sliceOf(after)[0])) ? sliceOf(after)[0] : next! + 1;
    return [deletion(from, end)];
  }
  if (before !== undefined && /^[ \t]*,[ \t]*$/.test(text.slice(sliceOf(before)[1], from)))
    return [deletion(sliceOf(before)[1], to)];
  return own === undefined ? [deletion(from, to)] : [deletion(own, own + 1), deletion(from, to)];
}

/** Whole lines, from the start of one to the end of the one that an offset is on. */
function lines(text: string, from: number, last: number): Splice {
  const to = nextLine(text, last);
  // Of the last line of a file that ends without a line break, the break before it goes.
  const isCut = to === text.length && !text.endsWith('\n');
  return isCut ? deletion(lineEnd(text, Math.max(0, from - 2)), to) : deletion(from, to);
}

function dashOf({ items }: Source, index: number): number {
  return items[index]!.start.find(({ type }) => type === 'seq-item-ind')!.offset;
}

/** Where the last field of an entry ends; comments behind it are not part of it. */
function endOfEntry(entry: unknown): number {
  return isMap(entry) && !entry.flow && entry.items.length > 0
    ? endOf(entry.items.at(-1)!)
    : (entry as Scalar).range![1];
}
