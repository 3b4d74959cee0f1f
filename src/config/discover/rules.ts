/** Rules of `backends_from`, and of the list of backends that it may stand for. */
import { isRecord } from '../../core/is-record.js';
import type { ConfigDocument } from '../document.js';
import type { Draft, DraftPool } from '../draft.js';
import { NAME_EXPECTED, NAME_PATTERN } from '../name-fields.js';
import { quote } from '../path.js';
import type { Report } from '../problems.js';
import { BACKENDS_EXPECTED } from '../schema.js';
import { SOURCE_KINDS } from './schema.js';

const NOTHING_FOUND =
  'missing, and nothing is known here of what backends_from finds; expected the backends to begin with, which the program then keeps up ' +
  'to date. In a fleet, `anyhop fleet plan` and `apply` fill in those in force';

export function checkDiscover(
  { pools, discover }: Draft,
  document: ConfigDocument,
  report: Report,
  mayLackBackends: boolean,
): void {
  for (const pool of pools) {
    checkSource(pool, report);
    const mayLack = mayLackBackends && pool.backendsFrom !== undefined;
    if (!pool.written.has('backends') && !mayLack && isMapping(document, pool))
      report(
        [...pool.at, 'backends'],
        pool.backendsFrom === undefined ? `missing; expected ${BACKENDS_EXPECTED}` : NOTHING_FOUND,
      );
  }
  for (const { at, name } of discover?.keys ?? [])
    if (!NAME_PATTERN.test(name)) report(at, `found ${quote(name)}; expected ${NAME_EXPECTED}`, 'key');
}

/** One that is none was reported. */
function isMapping({ value }: ConfigDocument, { name }: DraftPool): boolean {
  return isRecord(value) && isRecord(value['pools']) && isRecord(value['pools'][name]);
}

function checkSource({ backendsFrom }: DraftPool, report: Report): void {
  if (backendsFrom === undefined) return;
  const kinds = SOURCE_KINDS.filter((kind) => backendsFrom.written.has(kind));
  if (kinds.length === 1) return;
  const found = kinds.length === 0 ? 'found no source' : `found ${kinds.join(' and ')}`;
  report(backendsFrom.at, `${found}; expected exactly one of ${SOURCE_KINDS.join(', ')}`);
}
