/** Lists and rules for engines under test. */
import type { DefendRules } from '#anyhop/config/defend/types.js';
import { PrefixColumns } from '#anyhop/lists/columns.js';
import { compileLists } from '#anyhop/lists/compile.js';
import { parsePrefix } from '#anyhop/packet/address.js';

/** Of a service whose sources are looked up in lists, and no more. */
export const LISTS_ALONE: DefendRules = {
  lists: 'enforce',
  sourceRate: undefined,
  serviceRate: undefined,
  synCookies: undefined,
  ownSources: false,
};

/** Compiled, in memory that goes to another process. */
export function compiled(lists: {
  readonly block?: readonly string[];
  readonly allow?: readonly string[];
}): Uint8Array {
  const columns = (texts: readonly string[] = []) =>
    PrefixColumns.of(texts.map((text) => parsePrefix(text)!));
  const memory = compileLists({ block: [columns(lists.block)], allow: [columns(lists.allow)] }, () => 1)!;
  return Uint8Array.from(new Uint8Array(memory));
}
