/** How values and mappings are written, so that what is new looks like its neighbours. */
import { isNode, isScalar, parse, type Scalar, type YAMLMap } from 'yaml';
import { keyText } from '../reader.js';
import type { NewBackend } from './wanted.js';

/** Within the braces of a flow mapping on one line. */
const SPACES = /^\{([ \t]*)[^ \t\r\n#](?:[^\r\n#]*[^ \t\r\n,])?([ \t]*)\}$/;
type Value = string | number | boolean;

/** Plain where that reads back as the same in a flow mapping too. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** A value as another of its kind is written. */
export function writtenLike(neighbour: unknown, value: Value): string {
  if (typeof value !== 'string') return String(value);
  const { type } = (isScalar(neighbour) ? neighbour : {}) as Partial<Scalar>;
  if (type === 'QUOTE_DOUBLE') return JSON.stringify(value);
  if (type === 'QUOTE_SINGLE') return `'${value.replaceAll("'", "''")}'`;
  return PLAIN.test(value) && parse(value) === value ? value : JSON.stringify(value);
}

/** One more field of a mapping. */
export function fieldLike(text: string, map: YAMLMap, key: string, value: Value): string {
  const [first] = map.items;
  const same = map.items.find((pair) => keyText(pair.key) === key);
  const name = writtenLike(first?.key, key);
  return `${name}${colonOf(text, map)}${writtenLike(same?.value ?? first?.key, value)}`;
}

/** A new entry, by its fields, in the order of another. */
export function fieldsLike(text: string, map: YAMLMap, entry: NewBackend): string[] {
  const order = map.items.map((pair) => keyText(pair.key));
  const rank = (key: string): number => (order.includes(key) ? order.indexOf(key) : order.length);
  return Object.entries(entry)
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([key, value]: [string, Value]) => fieldLike(text, map, key, value));
}

/** A new entry as another flow mapping is written, on one line. */
export function flowLike(text: string, map: YAMLMap, entry: NewBackend): string {
  const [, open, close] = SPACES.exec(text.slice(...sliceOf(map))) ?? [];
  const fields = fieldsLike(text, map, entry).join(commaOf(text, map));
  return `{${open ?? ' '}${fields}${close ?? ' '}}`;
}

/** What stands between two fields of a flow mapping. */
export function commaOf(text: string, { items: [first, second] }: YAMLMap): string {
  if (first === undefined || second === undefined) return ', ';
  return between(text, endOf(first), startOf(second.key), /^,[ \t]*$/) ?? ', ';
}

function colonOf(text: string, { items: [first] }: YAMLMap): string {
  if (!isNode(first?.value)) return ': ';
  return between(text, endOfNode(first.key), startOf(first.value), /^:[ \t]*$/) ?? ': ';
}

function between(text: string, from: number, to: number, expected: RegExp): string | undefined {
  const found = text.slice(from, to);
  return expected.test(found) ? found : undefined;
}

/** Where a field ends. */
export function endOf({ key, value }: YAMLMap['items'][number]): number {
  return endOfNode(value ?? key);
}

export function sliceOf(node: unknown): [number, number] {
  return [startOf(node), endOfNode(node)];
}

function startOf(node: unknown): number {
  return (node as Scalar).range![0];
}

function endOfNode(node: unknown): number {
  return (node as Scalar).range![1];
}
