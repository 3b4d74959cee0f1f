/**
 * A small validator for JSON Schema, just the keywords that the published schema uses; it throws on any other, so
 * that nothing goes unchecked.
 */
import { isIPv4, isIPv6 } from 'node:net';

type Schema = Readonly<Record<string, unknown>>;

const FORMATS: Record<string, (text: string) => boolean> = { ipv4: isIPv4, ipv6: isIPv6 };
const TYPES: Record<string, (value: unknown) => boolean> = {
  object: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
};

const all = (value: object, test: (key: string, value: unknown) => boolean) =>
  Object.entries(value).every(([key, part]) => test(key, part));
const count = (value: unknown) => Object.keys(value as object).length;
const note = () => true;

/** Each keyword judges only values of its kind, as the standard says. */
const KEYWORDS: Record<string, (value: never, argument: never, schema: Schema) => boolean> = {
  $schema: note,
  $id: note,
  title: note,
  description: note,
  default: note,
  deprecated: note,
  type: (value: unknown, type: string) => TYPES[type](value),
  enum: (value: unknown, values: unknown[]) => values.includes(value),
  anyOf: (value: unknown, schemas: Schema[]) => schemas.some((schema) => accepts(schema, value)),
  not: (value: unknown, schema: Schema) => !accepts(schema, value),
  minimum: (value: unknown, limit: number) => typeof value !== 'number' || value >= limit,
  maximum: (value: unknown, limit: number) => typeof value !== 'number' || value <= limit,
  minLength: (value: unknown, limit: number) => typeof value !== 'string' || value.length >= limit,
  maxLength: (value: unknown, limit: number) => typeof value !== 'string' || value.length <= limit,
  pattern: (value: unknown, pattern: string) =>
    typeof value !== 'string' || new RegExp(pattern, 'u').test(value),
  format: (value: unknown, format: string) => typeof value !== 'string' || FORMATS[format](value),
  items: (value: unknown, schema: Schema) =>
    !Array.isArray(value) || value.every((item) => accepts(schema, item)),
  minItems: (value: unknown, limit: number) => !Array.isArray(value) || value.length >= limit,
  maxItems: (value: unknown, limit: number) => !Array.isArray(value) || value.length <= limit,
  minProperties: (value: unknown, limit: number) => !TYPES['object'](value) || count(value) >= limit,
  maxProperties: (value: unknown, limit: number) => !TYPES['object'](value) || count(value) <= limit,
  required: (value: object, names: string[]) =>
    !TYPES['object'](value) || names.every((name) => Object.hasOwn(value, name)),
  propertyNames: (value: object, schema: Schema) =>
    !TYPES['object'](value) || all(value, (key) => accepts(schema, key)),
  properties: (value: object, schemas: Record<string, Schema>) =>
    !TYPES['object'](value) ||
    all(value, (key, part) => !Object.hasOwn(schemas, key) || accepts(schemas[key], part)),
  additionalProperties: (value: object, schema: Schema | false, { properties = {} }: Schema) =>
    !TYPES['object'](value) ||
    all(
      value,
      (key, part) => Object.hasOwn(properties as object, key) || (schema !== false && accepts(schema, part)),
    ),
};

export function accepts(schema: Schema, value: unknown): boolean {
  return all(schema, (keyword, argument) => {
    const judge = KEYWORDS[keyword];
    if (judge === undefined) throw new Error(`unknown keyword ${keyword}`);
    return judge(value as never, argument as never, schema);
  });
}
