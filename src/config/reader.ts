/**
 * Turns YAML nodes into plain values, and expands aliases within limits. YAML 1.2 core schema: `on`, `off`, `yes` and `no` are text.
 * Refuses error-prone features: tags, numbers with leading zeros, aliases that expand without end, one anchor for two values,
 * look-alikes of spaces and quotes, and the merge key `<<` of YAML 1.1.
 */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { CONFIG_ALIASED_VALUES_MAX, CONFIG_DEPTH_MAX } from '../core/limits.js';
import { type LookAlike, lookAlikeAround, lookAlikeInKey } from './look-alikes.js';
import { type FieldPath, quote } from './path.js';

export interface ReadProblem {
  readonly offset: number;
  readonly path: FieldPath;
  readonly message: string;
}

export class Reader {
  /** By offset, so that a value with several aliases is reported once. */
  readonly problems = new Map<number, ReadProblem>();
  /** What makes the text mean something else than its author intended. */
  readonly causes = new Map<number, ReadProblem>();
  readonly #document: Document.Parsed;
  readonly #lineOf: (offset: number) => number;
  readonly #anchors = new Map<string, Node>();
  #aliasDepth = 0;
  #aliasedValues = 0;

  constructor(document: Document.Parsed, lineOf: (offset: number) => number) {
    this.#document = document;
    this.#lineOf = lineOf;
  }

  read(node: unknown, path: FieldPath, depth: number): unknown {
    if (isAlias(node)) return this.#readAlias(node, path, depth);
    if (this.#aliasDepth > 0) this.#aliasedValues++;
    else this.#checkAnchor(node, path);
    if (isMap(node) || isSeq(node)) {
      if (depth >= CONFIG_DEPTH_MAX) {
        this.#refuse(node, path, `nested too deeply; at most ${CONFIG_DEPTH_MAX} levels`);
        return undefined;
      }
      this.#checkTag(node, path);
      return isMap(node) ? this.#readMap(node, path, depth) : this.#readList(node.items, path, depth);
    }
    if (!isScalar(node)) return null;
    this.#checkTag(node, path);
    this.#checkNumber(node, path);
    if (node.type === 'PLAIN') this.#note(node, lookAlikeAround(node.source ?? ''), path);
    return node.value;
  }

  #readList(items: readonly unknown[], path: FieldPath, depth: number): unknown[] {
    // A pair in a flow list, `[a: 1]`, is a mapping.
    return items.map((item, index) => (isPair(item) ? {} : this.read(item, [...path, index], depth + 1)));
  }

  #readMap(map: YAMLMap, path: FieldPath, depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    for (const pair of map.items) {
      const key = keyText(pair.key);
      const here = [...path, key];
      if (isScalar(pair.key)) this.#checkKey(pair.key, key, here);
      if (Object.hasOwn(value, key)) {
        this.#refuse(pair.key, here, 'found a second time in the same mapping; remove one of the two');
      } else if (key === '__proto__') {
        this.#refuse(pair.key, here, 'this key cannot be used');
      } else {
        value[key] = this.read(pair.value, here, depth + 1);
      }
    }
    return value;
  }

  #readAlias(
    alias: { readonly source: string; resolve(document: Document): unknown },
    path: FieldPath,
    depth: number,
  ): unknown {
    const target = alias.resolve(this.#document);
    if (target === undefined) {
      this.#refuse(
        alias,
        path,
        `found the alias *${quote(alias.source).slice(1, -1)}; no anchor of this name stands before it`,
      );
      return undefined;
    }
    if (depth >= CONFIG_DEPTH_MAX || this.#aliasedValues > CONFIG_ALIASED_VALUES_MAX) {
      this.#refuse(
        alias,
        path,
        `aliases expand to too much; at most ${CONFIG_DEPTH_MAX} levels and ` +
          `${CONFIG_ALIASED_VALUES_MAX} values`,
      );
      return undefined;
    }
    this.#aliasDepth++;
    const value = this.read(target, path, depth);
    this.#aliasDepth--;
    return value;
  }

  #checkKey(node: Scalar, key: string, path: FieldPath): void {
    this.#note(node, lookAlikeInKey(key), path);
    if (key === '<<') addTo(this.causes, startOf(node, 0), path, MERGE_KEY);
  }

  #note(node: Scalar, found: LookAlike | undefined, path: FieldPath): void {
    if (found === undefined) return;
    // The exact place is known only in plain text on one line.
    const within = node.type === 'PLAIN' && !/\n/.test(node.source ?? '') ? found.offset : 0;
    addTo(this.causes, startOf(node, 0) + within, path, found.message);
  }

  /** YAML uses the nearest anchor before an alias, so moving a line could silently change the value. */
  #checkAnchor(node: unknown, path: FieldPath): void {
    const { anchor } = (node ?? {}) as { readonly anchor?: string };
    if (anchor === undefined) return;
    const first = this.#anchors.get(anchor);
    if (first === undefined) this.#anchors.set(anchor, node as Node);
    else {
      const name = quote(anchor).slice(1, -1);
      const line = this.#lineOf(startOf(first, 0));
      this.#refuse(
        node,
        path,
        `found a second anchor &${name} (the first: line ${line}); give each its own name`,
      );
    }
  }

  #checkTag(node: Node, path: FieldPath): void {
    const tag = node.tag;
    if (tag === undefined || PLAIN_TAGS.has(tag)) return;
    this.#refuse(node, path, `found the YAML tag ${quote(tag)}; tags are not used in this file: remove it`);
  }

  /** `010` is ten in YAML 1.2 and eight in YAML 1.1. */
  #checkNumber(node: Scalar, path: FieldPath): void {
    if (typeof node.value !== 'number' || !/^[-+]?0[0-9]/.test(node.source ?? '')) return;
    // Do not repeat the digits: they may be those of a secret.
    this.#refuse(
      node,
      path,
      'found a number with a leading zero, which some YAML parsers read as octal: ' +
        'remove the zero, or write it in quotes if it is text',
    );
  }

  #refuse(node: unknown, path: FieldPath, message: string): void {
    addTo(this.problems, startOf(node, 0), path, message);
  }
}

function addTo(found: Map<number, ReadProblem>, offset: number, path: FieldPath, message: string): void {
  if (!found.has(offset)) found.set(offset, { offset, path, message });
}

const MERGE_KEY =
  'found the merge key <<, which YAML 1.2 does not have; write the fields out (an alias stands for a whole value, as in ' +
  '"health: *web")';

const PLAIN_TAGS = new Set(
  ['map', 'seq', 'str', 'int', 'float', 'bool', 'null'].map((tag) => `tag:yaml.org,2002:${tag}`),
);

export function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value ?? key.source ?? '') : '';
}

export function startOf(node: unknown, otherwise: number): number {
  return (node as Node | null | undefined)?.range?.[0] ?? otherwise;
}
