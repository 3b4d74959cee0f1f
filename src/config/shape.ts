/** Checks the file against the schema, field by field, and takes out what is wrong, so that the rest can be judged. */
import type { z } from 'zod';
import type { ConfigDocument } from './document.js';
import { nearest } from './nearest.js';
import { type FieldPath, formatPath, quote } from './path.js';
import type { Report } from './problems.js';
import { type ConfigInput, configJsonSchema, configSchema, type JsonSchema } from './schema.js';

type Issue = z.core.$ZodIssue;

/** A value of type T of which any part may have been taken out because it was missing or wrong. */
export type Partially<T> = T extends readonly (infer U)[]
  ? readonly (Partially<U> | undefined)[]
  : T extends object
    ? { readonly [K in keyof T]?: Partially<T[K]> | undefined }
    : T;

/** Reports every field of the wrong shape and gives back the file's value without them. */
export function checkShape(document: ConfigDocument, report: Report): Partially<ConfigInput> | undefined {
  const result = configSchema.safeParse(document.value);
  const refused = new Set(document.problems.map((problem) => problem.field));
  const issues = (result.error?.issues ?? []).map(specific);
  for (const issue of issues) {
    const path = issue.path as FieldPath;
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) report([...path, key], unknownKeyMessage(path, key), 'key');
      continue;
    }
    // An alias or number that the document refused says all there is to say.
    const isRefused = refused.has(formatPath(path)) && typeof valueAt(document.value, path) !== 'string';
    if (!isRefused) report(path, issueMessage(document, issue));
  }
  // Only now: the messages above tell what stands in the file.
  const value = { root: document.value };
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') takeOut(value, ['root', ...(issue.path as FieldPath)]);
  }
  return value.root as Partially<ConfigInput> | undefined;
}

/** Of the alternatives of a union, the one that the value came nearest to: whose issue lies deepest. */
function specific(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue;
  const deepest = issue.errors
    .flat()
    .reduce<Issue | undefined>(
      (best, inner) => (inner.path.length > (best?.path.length ?? 0) ? inner : best),
      undefined,
    );
  return deepest === undefined ? issue : ({ ...deepest, path: [...issue.path, ...deepest.path] } as Issue);
}

function issueMessage(document: ConfigDocument, issue: Issue): string {
  const path = issue.path as FieldPath;
  const value = valueAt(document.value, path);
  const found = value === undefined ? 'missing' : `found ${describe(document, path, value)}`;
  return `${found}; expected ${issue.message}${quotingHint(issue, value)}`;
}

/** What stands in the file, in a few words; of the secret no more than its length. */
function describe(document: ConfigDocument, path: FieldPath, value: unknown): string {
  if (value === null) return path.length === 0 ? 'an empty file' : 'an empty value';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (formatPath(path).startsWith('node.key') && path[1] === 'key') {
    return typeof value === 'string' ? describeSecret(value) : 'a number or word without quotes';
  }
  if (typeof value === 'string') return quote(value);
  return quote(document.source(path) ?? String(value)).slice(1, -1);
}

/** Says what is wrong with a secret without saying any of it. */
export function describeSecret(text: string): string {
  const digits = /^[0-9A-Fa-f]*$/.test(text);
  return `${text.length} ${digits ? 'hexadecimal digits' : 'characters, not all of them hexadecimal digits'}`;
}

/** The slip behind most wrong types in YAML: quotes that are missing, or that are one pair too many. */
function quotingHint(issue: Issue, value: unknown): string {
  if (issue.code !== 'invalid_type') return '';
  if (issue.expected === 'string' && ['number', 'boolean'].includes(typeof value)) {
    return '; text that looks like a number or a truth value must be in quotes';
  }
  const wantsPlain = issue.expected === 'number' || issue.expected === 'int' || issue.expected === 'boolean';
  if (wantsPlain && typeof value === 'string' && /^(-?[0-9.]+|true|false)$/.test(value)) {
    return ', without quotes';
  }
  return '';
}

function unknownKeyMessage(path: FieldPath, key: string): string {
  const known = knownKeys(path);
  const meant = nearest(key, known);
  const expected =
    meant === undefined ? `expected one of ${known.join(', ')}` : `did you mean ${quote(meant)}?`;
  return `unknown key ${quote(key)}; ${expected}`;
}

/** The keys that the schema knows in the mapping at `path`. */
function knownKeys(path: FieldPath): readonly string[] {
  let schema: JsonSchema | undefined = configJsonSchema();
  for (const step of path) {
    if (typeof step === 'number') schema = schema?.items;
    else schema = schema?.properties?.[step] ?? (schema?.additionalProperties || undefined);
  }
  return Object.keys(schema?.properties ?? {});
}

function valueAt(root: unknown, path: FieldPath): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** Sets the value at `path` to undefined; its key or place in the list stays. */
function takeOut(root: object, path: FieldPath): void {
  const parent = valueAt(root, path.slice(0, -1));
  const last = path.at(-1);
  if (typeof parent !== 'object' || parent === null || last === undefined) return;
  if (Object.hasOwn(parent, last)) (parent as Record<string | number, unknown>)[last] = undefined;
}
