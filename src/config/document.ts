/** A config file as one YAML document: its values, the place of every field, and a readable error for each mistake in its syntax. */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { byPlace, ConfigError, type ConfigProblem } from './error.js';
import { structuralLookAlikes } from './look-alikes.js';
import { type FieldPath, formatPath } from './path.js';
import { keyText, Reader, type ReadProblem, startOf } from './reader.js';
import { syntaxMessage } from './syntax.js';

export interface Place {
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
}

/** How the text is read, wherever it is. */
export const PARSE_OPTIONS = {
  version: '1.2',
  schema: 'core',
  stringKeys: true,
  // The parser compares each key with all before it. Reader uses a hash table, and knows the path.
  uniqueKeys: false,
  prettyErrors: false,
} as const;

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
    this.#document = parseDocument(text, { ...PARSE_OPTIONS, lineCounter: this.#lines });
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

function isBlock(node: unknown): boolean {
  return (isMap(node) || isSeq(node)) && node.flow !== true;
}

function isEmpty(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '');
}
