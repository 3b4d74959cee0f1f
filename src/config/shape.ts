/**
 * Reads the file by the schema, field by field. A good value becomes what the program uses; a wrong one is reported and left out,
 * so that the rest can be judged. `safeParse` of the whole file would return nothing for a file with one mistake.
 */
import * as z from 'zod';
import type { ConfigDocument } from './document.js';
import type { Draft, DraftPool, DraftService, Entry, Origin } from './draft.js';
import { nameOf } from './fields.js';
import { nearest } from './nearest.js';
import { type FieldPath, formatPath, quote } from './path.js';
import type { Report } from './problems.js';
import { configJsonSchema, configSchema, type JsonSchema } from './schema.js';

type Issue = z.core.$ZodIssue;
type Mapping = Readonly<Record<string, unknown>>;

/** The config as a draft, after a report of every field of the wrong shape; undefined when the file is not a mapping. */
export function checkShape(document: ConfigDocument, report: Report): Draft | undefined {
  const { value } = document;
  const reader = new ShapeReader(document, report);
  if (!isMapping(value)) {
    reader.report(configSchema.safeParse(value).error?.issues ?? [], value, []);
    return undefined;
  }
  const root: unknown = reader.readMapping(configSchema, value, []);
  const { node, pools, services, defend, agent, l7, announce, fleet, discover, written } = root as Omit<
    Draft,
    'pools' | 'services'
  > & {
    readonly pools: readonly DraftPool[] | undefined;
    readonly services: readonly DraftService[] | undefined;
  };
  return {
    node,
    pools: pools ?? [],
    services: services ?? [],
    defend,
    agent,
    l7,
    announce,
    fleet,
    discover,
    written,
    poolNames: pools && new Set(pools.map(({ name }) => name)),
    serviceCount: services?.length,
  };
}

/** What the reader knows about a field, computed once. */
interface Field {
  readonly schema: z.core.$ZodType;
  /** The schema behind `optional()` and defaults. */
  readonly inner: z.core.$ZodType;
  /** For a mapping with known keys, or for one such mapping or more. */
  readonly mapping: z.ZodObject | undefined;
  /** For a list, or for one value or more. */
  readonly list: z.ZodArray | undefined;
  readonly isOptional: boolean;
  /** What the program uses when the file has no good value. */
  readonly otherwise: unknown;
}

class ShapeReader {
  readonly #document: ConfigDocument;
  readonly #report: Report;
  /** Fields that the document refused; its message is enough. */
  readonly #refused: ReadonlySet<string>;

  constructor(document: ConfigDocument, report: Report) {
    this.#document = document;
    this.#report = report;
    this.#refused = new Set(document.problems.map((problem) => problem.field));
  }

  /** The value as the program uses it; undefined when it is wrong. `parent` and `key` give its place. */
  readField(
    field: Field,
    value: unknown,
    parent: FieldPath,
    key: string | number,
    spoil: () => void,
  ): unknown {
    const { inner, mapping, list } = field;
    if (isMapping(value)) {
      if (mapping !== undefined) {
        const draft = this.readMapping(mapping, value, [...parent, key]);
        return list === undefined ? draft : [draft];
      }
      if (inner instanceof z.ZodRecord) return this.#readRecord(inner, value, [...parent, key], spoil);
    }
    if (list !== undefined && Array.isArray(value) && value.length > 0)
      return this.#readList(list, value, [...parent, key], spoil);
    const result = z.safeParse(value === undefined ? field.schema : inner, value);
    if (result.success)
      return list === undefined || Array.isArray(value)
        ? result.data
        : [{ at: [...parent, key], value: result.data }];
    this.report(result.error.issues, value, [...parent, key]);
    spoil();
    return undefined;
  }

  readMapping(schema: z.ZodObject, value: Mapping, at: FieldPath): Origin & Mapping {
    const written = new Set(Object.keys(value));
    const fields = fieldsOf(schema);
    for (const key of written) {
      if (!Object.hasOwn(schema.shape, key)) this.#report([...at, key], unknownKeyMessage(at, key), 'key');
    }
    const wrong = new Set<string>();
    const draft: Origin & Record<string, unknown> = { at, written, wrong };
    for (const [key, name, field] of fields) {
      if (value[key] !== undefined || !field.isOptional)
        draft[name] = this.readField(field, value[key], at, key, () => wrong.add(key)) ?? field.otherwise;
      else {
        draft[name] = field.otherwise;
        if (written.has(key)) wrong.add(key); // an alias that the document refused
      }
    }
    return draft;
  }

  #readRecord({ valueType }: z.ZodRecord, value: Mapping, at: FieldPath, spoil: () => void): unknown[] {
    const field = fieldOf(valueType);
    return Object.entries(value).flatMap(([name, entry]) => {
      const draft = this.#readEntry(field, entry, at, name, spoil);
      return draft === undefined ? [] : { ...draft, name };
    });
  }

  #readList(
    { element }: z.ZodArray,
    values: readonly unknown[],
    at: FieldPath,
    spoil: () => void,
  ): unknown[] {
    const field = fieldOf(element);
    return values.flatMap((value, index) => this.#readEntry(field, value, at, index, spoil) ?? []);
  }

  /** An entry that should be a mapping and is not becomes an empty one; undefined for any other wrong entry. */
  #readEntry(
    field: Field,
    value: unknown,
    list: FieldPath,
    key: string | number,
    spoil: () => void,
  ): Origin | Entry<unknown> | undefined {
    const read = this.readField(field, value, list, key, spoil);
    if (field.mapping !== undefined)
      return (read as Origin | undefined) ?? emptyDraft(field.mapping, [...list, key]);
    return read === undefined ? undefined : { at: [...list, key], value: read };
  }

  report(issues: readonly Issue[], value: unknown, at: FieldPath): void {
    if (this.#refused.has(formatPath(at)) && typeof value !== 'string') return;
    const found = value === undefined ? 'missing' : `found ${describe(this.#document, at, value)}`;
    for (const issue of issues)
      this.#report(at, `${found}; expected ${issue.message}${quotingHint(issue, value)}`);
  }
}

/** The draft of an empty mapping, without a report: what the defaults say. */
export function emptyDraft(schema: z.ZodObject, at: FieldPath): Origin & Mapping {
  const values = fieldsOf(schema).map(([, name, { otherwise }]) => [name, otherwise]);
  return { at, written: NONE, wrong: NONE, ...Object.fromEntries(values) };
}

const NONE: ReadonlySet<string> = new Set();
const known = new WeakMap<z.ZodObject, readonly [key: string, name: string, Field][]>();

/** The fields of a mapping, each with its key in the file and its name in the program. */
function fieldsOf(schema: z.ZodObject): readonly [key: string, name: string, Field][] {
  let fields = known.get(schema);
  if (fields === undefined) {
    fields = Object.entries(schema.shape as z.core.$ZodShape).map(([key, field]) => [
      key,
      nameOf(key, field),
      fieldOf(field),
    ]);
    known.set(schema, fields);
  }
  return fields;
}

function fieldOf(schema: z.core.$ZodType): Field {
  const inner = unwrap(schema);
  const options = inner instanceof z.ZodUnion ? inner.options : [inner];
  const list = options.find((option) => option instanceof z.ZodArray);
  const mapping = mappingOf(inner);
  const { success: isOptional, data } = z.safeParse(schema, undefined);
  // A missing list is empty.
  return { schema, inner, mapping, list, isOptional, otherwise: schema instanceof z.ZodArray ? [] : data };
}

/** What a mapping is read by: the schema itself, or the one that a list beside it is of. */
export function mappingOf(inner: z.core.$ZodType): z.ZodObject | undefined {
  const list = inner instanceof z.ZodUnion && inner.options.find((option) => option instanceof z.ZodArray);
  const mapping = list ? list.element : inner;
  return mapping instanceof z.ZodObject ? mapping : undefined;
}

/** The schema behind `optional()` and defaults. */
export function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  let inner = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault)
    inner = inner._zod.def.innerType;
  return inner;
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What the file has, in a few words; of the secret only its length. */
function describe(document: ConfigDocument, path: FieldPath, value: unknown): string {
  if (value === null) return path.length === 0 ? 'an empty file' : 'an empty value';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (path.length === 2 && (path[0] === 'node' || path[0] === 'l7') && path[1] === 'key') {
    return typeof value === 'string' ? describeSecret(value) : 'a number or word without quotes';
  }
  if (typeof value === 'string') return quote(value);
  return quote(document.source(path) ?? String(value)).slice(1, -1);
}

/** Describes a wrong secret without revealing any of it. */
export function describeSecret(text: string): string {
  const digits = /^[0-9A-Fa-f]*$/.test(text);
  return `${text.length} ${digits ? 'hexadecimal digits' : 'characters, not all of them hexadecimal digits'}`;
}

/** The mistake behind most wrong types in YAML: missing quotes, or a pair too many. */
function quotingHint(issue: Issue, value: unknown): string {
  if (issue.code !== 'invalid_type') return '';
  if (issue.expected === 'string' && ['number', 'boolean'].includes(typeof value)) {
    return '; text that looks like a number or a boolean must be in quotes';
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
  let schemas: readonly JsonSchema[] = [configJsonSchema()];
  for (const step of path)
    schemas = schemas.flatMap(({ items, properties, additionalProperties }) => {
      const below =
        typeof step === 'number' ? items : (properties?.[step] ?? (additionalProperties || undefined));
      return below === undefined ? [] : (below.anyOf ?? [below]);
    });
  return schemas.flatMap(({ properties }) => Object.keys(properties ?? {}));
}
