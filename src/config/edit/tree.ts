/** The nodes of a config text, with their places in it, as far as edits need them. */
import { type Document, isAlias, isMap, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml';
import { ConfigDocument, PARSE_OPTIONS } from '../document.js';
import { ConfigError } from '../error.js';
import type { FieldPath } from '../path.js';
import { formatPath, quote } from '../path.js';
import { keyText } from '../reader.js';

export class EditTree {
  readonly text: string;
  readonly file: string;
  /** As plain values. */
  readonly value: unknown;
  readonly #document: Document.Parsed;
  readonly #config: ConfigDocument;

  /** @throws ConfigError when the text is no good YAML */
  constructor(text: string, file: string) {
    this.text = text;
    this.file = file;
    this.#config = new ConfigDocument(text, file);
    const { problems, value } = this.#config;
    if (problems.length > 0) throw new ConfigError(problems);
    this.value = value;
    this.#document = parseDocument(text, { ...PARSE_OPTIONS, keepSourceTokens: true });
  }

  /** @throws ConfigError when it is the value of an alias, or one that aliases may stand for */
  listAt(path: readonly string[]): YAMLSeq {
    const node = this.#at(path);
    if (isSeq(node)) return node;
    throw this.refused(path, `found no list of ${path.at(-1)}`);
  }

  /** @throws ConfigError as `listAt` */
  backendsOf(pool: string): YAMLSeq {
    return this.listAt(['pools', pool, 'backends']);
  }

  /** @throws ConfigError as `listAt` */
  mappingAt(path: readonly string[]): YAMLMap {
    const node = this.#at(path);
    if (isMap(node) && node.items.length > 0) return node;
    throw this.refused(path, 'found no settings');
  }

  #at(path: readonly string[]): unknown {
    let node: unknown = this.#own(this.#document.contents, []);
    for (const [depth, step] of path.entries())
      node = this.#own(pairOf(node, step)?.value, path.slice(0, depth + 1));
    return node;
  }

  /** @throws ConfigError when it is an alias, or has an anchor */
  requireOwn(node: unknown, path: FieldPath): void {
    this.#own(node, path);
  }

  /** The section node; undefined without one. @throws ConfigError as `listAt` */
  nodeSection(): YAMLMap | undefined {
    const pair = pairOf(this.#own(this.#document.contents, []), 'node');
    if (pair === undefined) return undefined;
    const section = this.#own(pair.value, ['node']);
    if (isMap(section) && section.items.length > 0) return section;
    throw this.refused(['node'], 'found no settings');
  }

  /** @throws ConfigError as `listAt` */
  entryOf(pool: string, index: number): YAMLMap {
    const path = ['pools', pool, 'backends', index];
    const entry = this.#own(this.backendsOf(pool).items[index], path);
    if (isMap(entry)) return entry;
    throw this.refused(path, 'found no backend');
  }

  /** What stands for itself alone. @throws ConfigError */
  #own<T>(node: T, path: FieldPath): T {
    const { anchor } = (node ?? {}) as { readonly anchor?: string };
    if (isAlias(node)) throw this.refused(path, `found the alias *${plain(node.source)}`);
    if (anchor !== undefined) throw this.refused(path, `found the anchor &${plain(anchor)}`);
    return node;
  }

  /** @throws ConfigError when a value within a node has an anchor, which aliases elsewhere may need */
  requireNoAnchor(entry: YAMLMap, path: FieldPath): void {
    for (const { key, value } of entry.items) {
      const field = [...path, keyText(key)];
      if (!isAlias(value)) this.#own(value, field);
    }
  }

  /** The value of a field, undefined without the field. @throws ConfigError as `listAt` */
  fieldOf(entry: YAMLMap, key: string, path: FieldPath): unknown {
    return this.#own(pairOf(entry, key)?.value, [...path, key]);
  }

  refused(path: FieldPath, found: string): ConfigError {
    const message = `${found}, so a change of this alone might change more; write it out, or make the change by hand`;
    const field = formatPath(path);
    return new ConfigError([{ file: this.file, ...this.#config.locate(path, 'key'), field, message }]);
  }
}

function pairOf(node: unknown, key: string) {
  return isMap(node) ? node.items.find((pair) => keyText(pair.key) === key) : undefined;
}

function plain(name: string): string {
  return quote(name).slice(1, -1);
}
