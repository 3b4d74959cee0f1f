/**
 * Turns YAML text into plain values, with the place of every field. YAML 1.2 core schema: `on`, `off`, `yes` and `no` are text.
 * Refuses error-prone features: several documents, tags, keys that are not text, numbers with leading zeros, aliases that expand
 * without end, one anchor for two values, look-alikes of spaces and quotes, and the merge key `<<` of YAML 1.1.
 */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { CONFIG_ALIASED_VALUES_MAX, CONFIG_DEPTH_MAX } from '../core/limits.js';
import { byPlace, ConfigError, type ConfigProblem } from './error.js';
import { type LookAlike, lookAlikeAround, lookAlikeInKey, structuralLookAlikes } from './look-alikes.js';
import { type FieldPath, formatPath, quote } from './path.js';
import { syntaxMessage } from './syntax.js';

export interface Place {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

export class ConfigDocument {
  readonly file: string;
  /** Mappings as objects (`__proto__` is refused), lists as arrays. */
  readonly value: unknown;
  /** Problems that leave a usable value: duplicate keys, tags, odd numbers. */
  readonly problems: readonly ConfigProblem[];
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;

  /**
   * @param text of the file, without byte order mark
   * @throws ConfigError when it is not YAML, with only the YAML errors
   */
  constructor(text: string, file: string) {
    this.file = file;
    this.#lines = new LineCounter();
    this.#document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      stringKeys: true,
      // The parser compares each key with all before it. Reader uses a hash table, and knows the path.
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter: this.#lines,
    });
    this.#refuseSyntaxErrors(text);
    const reader = new Reader(this.#document, (offset) => this.#place(offset).line);
    this.value = reader.read(this.#document.contents, [], 0);
    const found = ({ offset, path, message }: ReadProblem): ConfigProblem =>
      this.#problem(offset, formatPath(path), message);
    // These may cause other problems: a key with a look-alike leaves the real key missing.
    const [causes, problems] = [reader.causes, reader.problems].map((each) => [...each.values()].map(found));
    if (causes.length > 0) throw new ConfigError([...causes, ...problems].sort(byPlace));
    this.problems = problems;
  }

  /**
   * The place of a field's value or key; for a block mapping or list, of its key; for a missing field, of the nearest field
   * around it.
   */
  locate(path: FieldPath, part: 'value' | 'key' = 'value'): Place {
    let node = this.#resolve(this.#document.contents);
    let offset = startOf(node, 0);
    for (const [depth, step] of path.entries()) {
      const child = childOf(node, step);
      if (child === undefined) break;
      node = this.#resolve(child.value);
      const keyOffset = child.key === undefined ? undefined : startOf(child.key, offset);
      const useKey =
        keyOffset !== undefined &&
        (isBlock(node) || isEmpty(node) || (part === 'key' && depth === path.length - 1));
      offset = useKey ? keyOffset : startOf(node, keyOffset ?? offset);
    }
    return this.#place(offset);
  }

  /** A plain scalar as written, `010` or `1e3`; undefined for anything else. */
  source(path: FieldPath): string | undefined {
    let node = this.#resolve(this.#document.contents);
    for (const step of path) node = this.#resolve(childOf(node, step)?.value);
    return isScalar(node) && node.type === 'PLAIN' ? node.source : undefined;
  }

  #resolve(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node;
  }

  #refuseSyntaxErrors(text: string): void {
    const { errors } = this.#document;
    const exhausted = errors.find((error) => error.code === 'RESOURCE_EXHAUSTION');
    // One mistake causes several errors; only the first on each line is useful.
    const byLine = new Map<number, ConfigProblem>();
    for (const error of exhausted === undefined ? errors : [exhausted]) {
      const problem = this.#problem(error.pos[0], '', syntaxMessage(error.code));
      if (!byLine.has(problem.line)) byLine.set(problem.line, problem);
    }
    const { yaml } = this.#document.directives ?? {};
    if (yaml?.explicit && yaml.version !== '1.2') {
      byLine.set(
        1,
        this.#problem(0, '', `found YAML ${yaml.version}; expected YAML 1.2: remove the %YAML line`),
      );
    }
    if (byLine.size === 0) return;
    const problems = [...byLine.values()].sort(byPlace);
    // The parser may report a look-alike one line late, or at the end of the line before.
    const causes = structuralLookAlikes(text, problems.at(-1)!.line + 1).map(({ offset, message }) =>
      this.#problem(offset, '', message),
    );
    const isNoConsequence = ({ line }: ConfigProblem): boolean =>
      causes.length === 0 || line < causes[0].line - 1;
    throw new ConfigError([...problems.filter(isNoConsequence), ...causes]);
  }

  #problem(offset: number, field: string, message: string): ConfigProblem {
    return { file: this.file, ...this.#place(offset), field, message };
  }

  #place(offset: number): Place {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

interface ReadProblem {
  readonly offset: number;
  readonly path: FieldPath;
  readonly message: string;
}

/** Turns nodes into plain values, expands aliases within limits, and collects problems. */
class Reader {
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

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value ?? key.source ?? '') : '';
}

function childOf(node: unknown, step: string | number): { key: unknown; value: unknown } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => keyText(item.key) === String(step));
    return pair === undefined ? undefined : { key: pair.key, value: pair.value };
  }
  if (isSeq(node) && typeof step === 'number' && step < node.items.length) {
    return { key: undefined, value: node.items[step] };
  }
  return undefined;
}

function startOf(node: unknown, otherwise: number): number {
  return (node as Node | null | undefined)?.range?.[0] ?? otherwise;
}

function isBlock(node: unknown): boolean {
  return (isMap(node) || isSeq(node)) && node.flow !== true;
}

function isEmpty(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '');
}
