/**
 * The config between shape and rules: values as the program uses them, each with its place in the file. Defaults are
 * filled in; what is missing or wrong is left out, so that each rule judges what is there. The types follow from the
 * schema.
 */
import type { z } from 'zod';
import type { Named } from './fields.js';
import type { health } from './health-schema.js';
import type { FieldPath } from './path.js';
import type { At } from './problems.js';
import type { agent, backend, node, pool, priorBackend, service } from './schema.js';

/** Where a mapping stands in the file, and what its author wrote there. */
export interface Origin {
  readonly at: FieldPath;
  /** The keys that the file has, right or wrong. */
  readonly written: ReadonlySet<string>;
  /** Those of them whose value is wrong, or that hold an entry that is. */
  readonly wrong: ReadonlySet<string>;
}

/** An entry of a list of values. */
export interface Entry<T> {
  readonly at: At;
  readonly value: T;
}

type Camel<K extends string> = K extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : K;
type NameOf<K extends string, S> = S extends Named<infer N> ? (string extends N ? Camel<K> : N) : Camel<K>;
type OneOrMore<E extends z.core.$ZodType> = z.ZodUnion<readonly [E, z.ZodArray<E>]>;

declare const VALUES: unique symbol;

/** A mapping of the schema as a draft. */
export type DraftOf<S> =
  S extends z.ZodObject<infer F>
    ? Origin & { readonly [VALUES]?: ValuesOf<S> } & {
        readonly [K in keyof F & string as NameOf<K, F[K]>]: DraftField<F[K]>;
      }
    : never;
type DraftField<S> =
  S extends z.ZodOptional<infer T>
    ? DraftField<T> | undefined
    : S extends z.ZodDefault | z.ZodPrefault
      ? z.output<S>
      : S extends z.ZodObject
        ? DraftOf<S>
        : S extends OneOrMore<infer E> | z.ZodArray<infer E>
          ? readonly (E extends z.ZodObject ? DraftOf<E> : Entry<z.output<E>>)[]
          : z.output<S> | undefined;

/** A mapping of the schema as the program sees it once nothing is wrong. */
export type ValuesOf<S> =
  S extends z.ZodObject<infer F>
    ? { readonly [K in keyof F & string as NameOf<K, F[K]>]: ValueOf<F[K]> }
    : never;
type ValueOf<S> =
  S extends z.ZodOptional<infer T>
    ? ValueOf<T> | undefined
    : S extends z.ZodObject
      ? ValuesOf<S>
      : S extends OneOrMore<infer E> | z.ZodArray<infer E>
        ? readonly ValueOf<E>[]
        : z.output<S>;

export type DraftNode = DraftOf<typeof node>;
export type DraftSource = DraftNode['sources'] extends readonly (infer E)[] | undefined ? E : never;
export type DraftBackend = DraftOf<typeof backend>;
export type DraftPriorBackend = DraftOf<typeof priorBackend>;
export type DraftHealth = DraftOf<typeof health>;
export type DraftPool = DraftOf<typeof pool> & { readonly name: string };
export type DraftService = DraftOf<typeof service>;
export type DraftAgent = DraftOf<typeof agent>;

export interface Draft {
  readonly node: DraftNode | undefined;
  readonly pools: readonly DraftPool[];
  readonly services: readonly DraftService[];
  readonly agent: DraftAgent | undefined;
  /** The sections that the file has, right or wrong. */
  readonly written: ReadonlySet<string>;
  /** Undefined when `pools` is no mapping. */
  readonly poolNames: ReadonlySet<string> | undefined;
  /** Undefined when `services` is no list. */
  readonly serviceCount: number | undefined;
}

/** The values of a draft without holes: each hole has been reported. */
export function valuesOf<V>(draft: Origin & { readonly [VALUES]?: V }): V {
  const values: Record<string, unknown> = {};
  for (const name in draft) {
    if (name === 'at' || name === 'written' || name === 'wrong') continue;
    const value: unknown = draft[name as keyof Origin];
    values[name] = typeof value === 'object' ? withoutPlace(value) : value;
  }
  return values as V;
}

function withoutPlace(draft: object | null): unknown {
  if (Array.isArray(draft)) return draft.map(withoutPlace);
  if (draft === null || !('at' in draft)) return draft;
  return 'value' in draft ? draft.value : valuesOf(draft as Origin);
}
