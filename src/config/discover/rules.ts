/** Rules of `backends_from` and `servers_from`, and of the lists that they may stand for. */
import { isRecord } from '../../core/is-record.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftOf, Origin } from '../draft.js';
import { SERVERS_EXPECTED } from '../l7/upstream-schema.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../name-fields.js';
import { type FieldPath, quote } from '../path.js';
import type { Report } from '../problems.js';
import { BACKENDS_EXPECTED } from '../schema.js';
import { GROUP_KINDS, type GroupKind } from './kinds.js';
import { type backendsFrom, SOURCE_KINDS, type serversFrom } from './schema.js';

/** What may be left out of the lists that sources fill: those of upstreams alone, which only proxy hosts and fleets need, or of both. */
export type MayLack = 'servers' | 'all' | undefined;

export function checkDiscover(
  { pools, l7, discover }: Draft,
  document: ConfigDocument,
  report: Report,
  mayLack: MayLack,
): void {
  const list = { document, report };
  for (const pool of pools) {
    checkSource(pool.backendsFrom, report);
    checkList(pool, pool.backendsFrom, 'pool', BACKENDS_EXPECTED, mayLack === 'all', list);
  }
  for (const upstream of l7?.upstreams ?? []) {
    checkSource(upstream.serversFrom, report);
    checkList(upstream, upstream.serversFrom, 'upstream', SERVERS_EXPECTED, mayLack !== undefined, list);
  }
  for (const { at, name } of discover?.keys ?? [])
    if (!NAME_PATTERN.test(name)) report(at, `found ${quote(name)}; expected ${NAME_EXPECTED}`, 'key');
}

/** There is one, or a source for it whose answer need not be known here. */
function checkList(
  { at, written }: Origin,
  from: object | undefined,
  kind: GroupKind,
  expected: string,
  mayLack: boolean,
  { document, report }: { readonly document: ConfigDocument; readonly report: Report },
): void {
  const { list, from: field, one } = GROUP_KINDS[kind];
  if (written.has(list) || (mayLack && from !== undefined) || !isMapping(document, at)) return;
  const nothingFound =
    `missing, and nothing is known here of what ${field} finds; expected the ${one}s to begin with, which the program then keeps up to ` +
    'date. In a fleet, `anyhop fleet plan` and `apply` fill in those in force';
  report([...at, list], from === undefined ? `missing; expected ${expected}` : nothingFound);
}

/** One that is none was reported. */
function isMapping({ value }: ConfigDocument, at: FieldPath): boolean {
  let found = value;
  for (const step of at) found = isRecord(found) ? found[step] : undefined;
  return isRecord(found);
}

function checkSource(
  from: DraftOf<typeof backendsFrom> | DraftOf<typeof serversFrom> | undefined,
  report: Report,
): void {
  if (from === undefined) return;
  const kinds = SOURCE_KINDS.filter((kind) => from.written.has(kind));
  if (kinds.length === 1) return;
  const found = kinds.length === 0 ? 'found no source' : `found ${kinds.join(' and ')}`;
  report(from.at, `${found}; expected exactly one of ${SOURCE_KINDS.join(', ')}`);
}
