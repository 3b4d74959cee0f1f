/**
 * `docs/reference/config.md`, `health-checks.md` and `layer-7.md`: every field of the config file, from its schema. What a field
 * accepts is the schema's own error message for a value that is wrong.
 */
import * as z from 'zod';
import { configSchema } from '#anyhop/config/schema.js';
import { mappingOf, unwrap } from '#anyhop/config/shape.js';
import { cell, code, page, table } from './markdown.js';

interface Field {
  /** `pools.NAME.settle_time` */
  readonly path: string;
  readonly meaning: string;
  readonly accepted: string;
  /** As written in the file; undefined for none. */
  readonly default: string | undefined;
  readonly required: boolean;
}

const HEALTH = 'pools.NAME.health';
const TIER = 'l7';
/** Parts of the section `l7` that have a table of their own. */
const TIER_PARTS = [`${TIER}.frontends`, `${TIER}.upstreams`] as const;
const HEAD = ['field', 'meaning', 'accepts', 'default'];

export function configPage(): string {
  const fields = fieldsOf(configSchema, '').filter(
    ({ path }) => !path.startsWith(`${HEALTH}.`) && !path.startsWith(`${TIER}.`),
  );
  const sections = [...new Set(fields.map(({ path }) => path.split(/[.[]/)[0]))];
  return page(
    'Config',
    'the schema of the config file',
    'One YAML file serves every node and agent of a fleet. `anyhop check -c FILE` lists everything that is wrong with a file, with line, ' +
      'column and field. `anyhop schema` prints the JSON Schema for editors. Fields of `health` have [a page of their own](health-checks.md), and so have ' +
      'those of `l7` ([layer 7](layer-7.md)).',
    ...sections.map(
      (section) => `## ${section}\n\n${rows(fields.filter(({ path }) => path.split(/[.[]/)[0] === section))}`,
    ),
  );
}

export function healthPage(): string {
  const fields = fieldsOf(configSchema, '').filter(({ path }) => path.startsWith(`${HEALTH}.`));
  return page(
    'Health checks: fields',
    'the schema of the config file',
    `The fields of \`${HEALTH}\`, or of each entry where it is a list. A pool without it is not checked: a backend is up while the kernel knows ` +
      'a next hop to it.',
    rows(fields.map((field) => ({ ...field, path: field.path.slice(HEALTH.length + 1) }))),
  );
}

export function layer7Page(): string {
  const fields = fieldsOf(configSchema, '').filter(({ path }) => path.startsWith(`${TIER}.`));
  const isBelow = (path: string, part: string): boolean => path.startsWith(`${part}.NAME.`);
  const process = fields.filter(({ path }) => !TIER_PARTS.some((part) => isBelow(path, part)));
  return page(
    'Layer 7: fields',
    'the schema of the config file',
    `The fields of \`${TIER}\`, which \`anyhop l7 run\` reads on the proxy hosts. Paths of files are relative to the config file. ` +
      '`anyhop l7 check -c FILE` lists everything that is wrong, with line, column and field.',
    rows(process),
    ...TIER_PARTS.map((part) => {
      const own = fields.filter(({ path }) => isBelow(path, part));
      return `## ${part}.NAME\n\n${rows(own.map((field) => ({ ...field, path: field.path.slice(part.length + '.NAME.'.length) })))}`;
    }),
  );
}

function rows(fields: readonly Field[]): string {
  return table(
    HEAD,
    fields.map((field) => [
      code(field.path),
      cell(field.meaning),
      cell(field.accepted),
      field.default === undefined ? (field.required ? 'required' : '') : code(field.default),
    ]),
  );
}

/** Every field below a schema, in the order of the schema. */
export function fieldsOf(schema: z.core.$ZodType, path: string): Field[] {
  const inner = unwrap(schema);
  const mapping = mappingOf(inner);
  if (mapping !== undefined)
    return Object.entries(mapping.shape as z.core.$ZodShape).flatMap(([name, field]) => {
      const at = path === '' ? name : `${path}.${name}`;
      return [describe(field as z.ZodType, at), ...fieldsOf(field, at)];
    });
  if (inner instanceof z.ZodRecord) return fieldsOf(inner._zod.def.valueType, `${path}.NAME`);
  if (inner instanceof z.ZodArray) return fieldsOf(inner._zod.def.element, `${path}[]`);
  return [];
}

function describe(field: z.ZodType, path: string): Field {
  const inner = field instanceof z.ZodOptional ? field.unwrap() : field;
  const usual =
    inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault ? inner.def.defaultValue : undefined;
  return {
    path,
    meaning: field.description ?? '',
    accepted: field.safeParse(null).error!.issues[0].message,
    default: usual === undefined ? undefined : String(usual),
    required: !field.safeParse(undefined).success,
  };
}
