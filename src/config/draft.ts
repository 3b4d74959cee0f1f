/**
 * The config between shape and rules: values as the program uses them, with their places in the file and with defaults. Missing
 * and wrong values are left out, and each rule judges the rest. The types are derived from the schema.
 */
import type { z } from 'zod';
import type { region } from './announce/region-schema.js';
import type { announce } from './announce/schema.js';
import type { defend, defendOtherwise } from './defend/schema.js';
import type { discover } from './discover/schema.js';
import type { Named } from './fields.js';
import type { fleet } from './fleet/schema.js';
import type { healthCheck } from './health-schema.js';
import type { l7 } from './l7/schema.js';
import type { FieldPath } from './path.js';
import type { At } from './problems.js';
import type { agent, backend, node, pool, service } from './schema.js';

/** The place of a mapping in the file, and its keys there. */
export interface Origin {
  readonly at: FieldPath;
  /** The keys in the file, right or wrong. */
  readonly written: ReadonlySet<string>;
  /** Those whose value is wrong, or has a wrong entry. */
  readonly wrong: ReadonlySet<string>;
}

export interface Entry<T> {
  readonly at: At;
  readonly value: T;
}

type Camel<K extends string> = K extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : K;
type NameOf<K extends string, S> = S extends Named<infer N> ? (string extends N ? Camel<K> : N) : Camel<K>;
/** A mapping by name is a list of its entries, each with its key as `name`. */
type RecordOf<V extends z.core.$ZodType> = z.ZodRecord<z.ZodString, V>;
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
    : S extends z.ZodDefault<z.ZodArray<infer E extends z.ZodObject>>
      ? readonly DraftEntry<E>[]
      : S extends z.ZodDefault | z.ZodPrefault
        ? z.output<S>
        : S extends z.ZodObject
          ? DraftOf<S>
          : S extends RecordOf<infer V>
            ? readonly (DraftEntry<V> & { readonly name: string })[] | undefined
            : S extends OneOrMore<infer E> | z.ZodArray<infer E>
              ? readonly DraftEntry<E>[]
              : z.output<S> | undefined;
type DraftEntry<E> = E extends z.ZodObject ? DraftOf<E> : Entry<z.output<E>>;

/** A mapping of the schema as the program sees it, without mistakes. */
export type ValuesOf<S> =
  S extends z.ZodObject<infer F>
    ? { readonly [K in keyof F & string as NameOf<K, F[K]>]: ValueOf<F[K]> }
    : never;
type ValueOf<S> =
  S extends z.ZodOptional<infer T>
    ? ValueOf<T> | undefined
    : S extends z.ZodDefault<z.ZodArray<infer E extends z.ZodObject>>
      ? readonly ValueOf<E>[]
      : S extends z.ZodObject
        ? ValuesOf<S>
        : S extends RecordOf<infer V>
          ? readonly (V extends z.ZodObject
              ? ValuesOf<V> & { readonly name: string }
              : { readonly name: string; readonly value: z.output<V> })[]
          : S extends OneOrMore<infer E> | z.ZodArray<infer E>
            ? readonly ValueOf<E>[]
            : z.output<S>;

export type DraftNode = DraftOf<typeof node>;
export type DraftSource = DraftNode['sources'] extends readonly (infer E)[] | undefined ? E : never;
export type DraftBackend = DraftOf<typeof backend>;
export type DraftHealth = DraftOf<typeof healthCheck>;
export type DraftPool = DraftOf<typeof pool> & { readonly name: string };
export type DraftService = DraftOf<typeof service>;
export type DraftAgent = DraftOf<typeof agent>;
export type DraftL7 = DraftOf<typeof l7>;
export type DraftAnnounce = DraftOf<typeof announce>;
export type DraftDefend = NonNullable<DraftField<typeof defend>>;
/** Of a pool or a service. */
export type DraftDefendOtherwise = NonNullable<DraftField<typeof defendOtherwise>>;
export type DraftMetrics = NonNullable<DraftNode['metrics']>;
export type DraftFleet = DraftOf<typeof fleet>;
export type DraftDiscover = DraftOf<typeof discover>;
export type DraftRegion = DraftOf<typeof region> & { readonly name: string };

export interface Draft {
  readonly node: DraftNode | undefined;
  readonly pools: readonly DraftPool[];
  readonly services: readonly DraftService[];
  readonly defend: DraftDefend | undefined;
  readonly agent: DraftAgent | undefined;
  readonly l7: DraftL7 | undefined;
  readonly announce: DraftAnnounce | undefined;
  readonly fleet: DraftFleet | undefined;
  readonly discover: DraftDiscover | undefined;
  /** The sections in the file, right or wrong. */
  readonly written: ReadonlySet<string>;
  /** Undefined when `pools` is not a mapping. */
  readonly poolNames: ReadonlySet<string> | undefined;
  /** Undefined when `services` is not a list. */
  readonly serviceCount: number | undefined;
}

/** The values of a draft in which nothing is missing: each gap has been reported. */
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
  if (!('value' in draft)) return valuesOf(draft as Origin);
  return 'name' in draft ? { name: draft.name, value: draft.value } : draft.value;
}
