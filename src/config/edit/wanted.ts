/** Edits of a config's backends, and what each makes of the config as plain values: edit.ts compares what it wrote with this. */
import { AnyhopError } from '../../core/errors.js';
import { isRecord } from '../../core/is-record.js';
import { listed } from '../../core/listed.js';
import { backend } from '../schema.js';
import type { BackendConfig } from '../types.js';

export type BackendFields = Partial<Pick<BackendConfig, 'state' | 'weight'>>;

/** As it is written in the file; what is left out is the default. */
export interface NewBackend {
  readonly name: string;
  readonly address: string;
  readonly weight?: number | undefined;
  readonly id?: number | undefined;
  readonly agent?: false | undefined;
}

/** Where `pool` is left out, every pool that has the backend. */
export type BackendEdit =
  | {
      readonly kind: 'set';
      readonly backend: string;
      readonly pool?: string | undefined;
      readonly fields: BackendFields;
    }
  | { readonly kind: 'add'; readonly pool: string; readonly entry: NewBackend }
  | { readonly kind: 'remove'; readonly backend: string; readonly pool?: string | undefined };

/** A backend that an edit is about: its pool, and where it stands in the list. */
export interface Target {
  readonly pool: string;
  readonly index: number;
}

/** Without the field, a backend has this. */
export const DEFAULTS: Required<BackendFields> = {
  state: backend.shape.state.parse(undefined),
  weight: backend.shape.weight.parse(undefined),
};

const NAMED = { most: 12 };

/** @throws AnyhopError ERR_USAGE when there is no such pool or backend */
export function targetsOf(config: unknown, name: string, pool: string | undefined): Target[] {
  const pools = poolsOf(config);
  if (pool !== undefined) requirePool(pools, pool);
  const asked = pool === undefined ? [...pools] : [[pool, pools.get(pool)!] as const];
  const targets = asked.flatMap(([each, entries]): Target[] => {
    const index = entries.findIndex((entry) => isRecord(entry) && entry['name'] === name);
    return index < 0 ? [] : [{ pool: each, index }];
  });
  if (targets.length > 0) return targets;
  const there = asked.flatMap(([, entries]) => entries.flatMap((entry) => nameOf(entry) ?? []));
  throw new AnyhopError(
    'ERR_USAGE',
    `${pool === undefined ? 'no pool has' : `the pool ${pool} does not have`} a backend ${name}`,
    { hint: `There are: ${listed([...new Set(there)], NAMED)}.` },
  );
}

/**
 * Whether a pool has an entry already.
 * @throws AnyhopError ERR_USAGE when there is no such pool, or it has another backend of this name
 */
export function hasEntry(config: unknown, pool: string, entry: NewBackend): boolean {
  const pools = poolsOf(config);
  requirePool(pools, pool);
  const found = pools.get(pool)!.find((each) => nameOf(each) === entry.name);
  if (!isRecord(found)) return false;
  const { name, id = found['id'], ...said } = entry;
  const otherwise = { weight: DEFAULTS.weight, agent: true };
  const [was, is] = [
    { ...otherwise, ...found },
    { ...otherwise, ...said, id },
  ];
  const isSame = (['address', 'weight', 'agent', 'id'] as const).every(
    (field) => (was as Record<string, unknown>)[field] === is[field],
  );
  if (isSame) return true;
  throw new AnyhopError('ERR_USAGE', `the pool ${pool} has another backend ${name}`, {
    hint: 'Another machine takes another name: a new address under an old name gets none of its connections.',
  });
}

/** The config after an edit; `config` stays as it is. */
export function wanted(config: unknown, edit: BackendEdit): unknown {
  const copy: unknown = structuredClone(config);
  const pools = poolsOf(copy);
  if (edit.kind === 'add') {
    pools.get(edit.pool)!.push({ ...edit.entry });
    return copy;
  }
  for (const { pool, index } of targetsOf(config, edit.backend, edit.pool)) {
    const entries = pools.get(pool)!;
    if (edit.kind === 'remove') entries.splice(index, 1);
    else Object.assign(entries[index] as object, toWrite(entries[index], edit.fields));
  }
  return copy;
}

/** What of the fields is to be written: all that the entry does not say, and does not mean by leaving it out. */
export function toWrite(entry: unknown, fields: BackendFields): BackendFields {
  const was = { ...DEFAULTS, ...(entry as BackendFields) };
  return Object.fromEntries(
    Object.entries(fields).filter(([key, value]) => was[key as keyof BackendFields] !== value),
  );
}

/** The lists of backends by pool; entries of what is no list are none. */
function poolsOf(config: unknown): Map<string, unknown[]> {
  const pools = isRecord(config) && isRecord(config['pools']) ? config['pools'] : {};
  return new Map(
    Object.entries(pools).map(([name, pool]) => {
      const entries = isRecord(pool) ? pool['backends'] : undefined;
      return [name, Array.isArray(entries) ? entries : []];
    }),
  );
}

function requirePool(pools: ReadonlyMap<string, unknown>, pool: string): void {
  if (pools.has(pool)) return;
  throw new AnyhopError('ERR_USAGE', `there is no pool ${pool}`, {
    hint: `There are: ${listed([...pools.keys()], NAMED)}.`,
  });
}

function nameOf(entry: unknown): string | undefined {
  return isRecord(entry) && typeof entry['name'] === 'string' ? entry['name'] : undefined;
}
