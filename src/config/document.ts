/**
 * YAML text to plain values, with the place of every field at hand. YAML 1.2 core schema: `on`, `off`, `yes` and `no`
 * are text. What YAML allows but nobody means in a config file is refused here: several documents, tags, keys that
 * are not text, numbers with leading zeros, aliases that unfold without end.
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
import { ConfigError, type ConfigProblem } from './error.js';
import { type FieldPath, formatPath, quote } from './path.js';
import { syntaxMessage } from './syntax.js';

export interface Place {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

export class ConfigDocument {
  readonly file: string;
  /** Mappings as objects (without prototype surprises: `__proto__` is refused), lists as arrays. */
  readonly value: unknown;
  /** What was wrong but left a usable value: duplicate keys, tags, odd numbers. */
  readonly problems: readonly ConfigProblem[];
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;

  /**
   * @param text of the file, without byte order mark
   * @throws ConfigError when it is not YAML; nothing else is then worth saying about it
   */
  constructor(text: string, file: string) {
    this.file = file;
    this.#lines = new LineCounter();
    this.#document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      stringKeys: true,
      // The parser compares each key with all before it; the reader below asks a hash table, and knows the path.
      uniqueKeys: false,
      prettyErrors: false,
      lineCounter: this.#lines,
    });
    this.#refuseSyntaxErrors();
    const reader = new Reader(this.#document);
    this.value = reader.read(this.#document.contents, [], 0);
    this.problems = reader.problems.map(({ offset, path, message }) =>
      this.#problem(offset, formatPath(path), message),
    );
  }

  /**
   * The place of a field's value or of its key. A mapping or list written over several lines stands where its key
   * does. The place of what is missing is that of the nearest thing around it.
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

  /** A plain scalar as it is written, `010` or `1e3`; undefined for anything else. */
  source(path: FieldPath): string | undefined {
    let node = this.#resolve(this.#document.contents);
    for (const step of path) node = this.#resolve(childOf(node, step)?.value);
    return isScalar(node) && node.type === 'PLAIN' ? node.source : undefined;
  }

  #resolve(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.#document) : node;
  }

  #refuseSyntaxErrors(): void {
    const { errors } = this.#document;
    const exhausted = errors.find((error) => error.code === 'RESOURCE_EXHAUSTION');
    // One slip upsets the parser several times: of each line only the first is worth reading.
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
    if (byLine.size > 0) throw new ConfigError([...byLine.values()].sort((a, b) => a.line - b.line));
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

/** Turns nodes into plain values, unfolding aliases within bounds, and notes what it refuses. */
class Reader {
  readonly problems: ReadProblem[] = [];
  readonly #document: Document.Parsed;
  #aliasDepth = 0;
  #aliasedValues = 0;

  constructor(document: Document.Parsed) {
    this.#document = document;
  }

  read(node: unknown, path: FieldPath, depth: number): unknown {
    if (isAlias(node)) return this.#readAlias(node, path, depth);
    if (this.#aliasDepth > 0) this.#aliasedValues++;
    if (isMap(node) || isSeq(node)) {
      if (depth >= CONFIG_DEPTH_MAX) {
        this.#refuse(node, path, `nested too deeply; at most ${CONFIG_DEPTH_MAX} levels (CONFIG_DEPTH_MAX)`);
        return undefined;
      }
      this.#checkTag(node, path);
      return isMap(node) ? this.#readMap(node, path, depth) : this.#readList(node.items, path, depth);
    }
    if (!isScalar(node)) return null;
    this.#checkTag(node, path);
    this.#checkNumber(node, path);
    return node.value;
  }

  #readList(items: readonly unknown[], path: FieldPath, depth: number): unknown[] {
    // A pair in a flow list, `[a: 1]`, stands for a mapping.
    return items.map((item, index) => (isPair(item) ? {} : this.read(item, [...path, index], depth + 1)));
  }

  #readMap(map: YAMLMap, path: FieldPath, depth: number): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    for (const pair of map.items) {
      const key = keyText(pair.key);
      const here = [...path, key];
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
        `aliases unfold to too much; at most ${CONFIG_DEPTH_MAX} levels (CONFIG_DEPTH_MAX) and ` +
          `${CONFIG_ALIASED_VALUES_MAX} values (CONFIG_ALIASED_VALUES_MAX)`,
      );
      return undefined;
    }
    this.#aliasDepth++;
    const value = this.read(target, path, depth);
    this.#aliasDepth--;
    return value;
  }

  #checkTag(node: Node, path: FieldPath): void {
    const tag = node.tag;
    if (tag === undefined || PLAIN_TAGS.has(tag)) return;
    this.#refuse(node, path, `found the YAML tag ${quote(tag)}; tags are not used in this file: remove it`);
  }

  /** `010` is ten in YAML 1.2 and eight in YAML 1.1: nobody can tell what was meant. */
  #checkNumber(node: Scalar, path: FieldPath): void {
    if (typeof node.value !== 'number' || !/^[-+]?0[0-9]/.test(node.source ?? '')) return;
    // The digits are not repeated: they may be those of a secret.
    this.#refuse(
      node,
      path,
      'found a number with a leading zero, which some readers of YAML take for octal: ' +
        'remove the zero, or write it in quotes if it is text',
    );
  }

  #refuse(node: unknown, path: FieldPath, message: string): void {
    // A value reached by several aliases is refused once.
    const offset = startOf(node, 0);
    if (this.problems.some((problem) => problem.offset === offset)) return;
    this.problems.push({ offset, path, message });
  }
}

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
