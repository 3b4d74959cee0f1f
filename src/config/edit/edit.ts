/**
 * A config text with one change to its backends, and everything else byte for byte as it was: comments, order, quotes, indentation. The text
 * is spliced at the places of the nodes that change, and never written anew. What comes out is read again: a result that is not exactly what
 * was wanted is refused, and so are places that other parts of the text refer to.
 */
import { isDeepStrictEqual } from 'node:util';
import { ConfigDocument } from '../document.js';
import { ConfigError } from '../error.js';
import type { FieldPath } from '../path.js';
import { addEntry, removeEntry, setFields } from './entries.js';
import { type Splice, spliced } from './splice.js';
import { EditTree } from './tree.js';
import { type BackendEdit, hasEntry, targetsOf, wanted } from './wanted.js';

/**
 * @param text without byte order mark
 * @returns the same text when it says so already
 * @throws AnyhopError ERR_USAGE when there is no such pool or backend, or another backend of the same name; ConfigError when the text is
 * no good YAML, or is written in a way in which this cannot be changed alone
 */
export function editedText(text: string, file: string, edit: BackendEdit): string {
  const tree = new EditTree(text, file);
  if (edit.kind === 'add' && hasEntry(tree.value, edit.pool, edit.entry)) return text;
  const after = spliced(text, splicesOf(tree, edit));
  if (after !== text && !isDeepStrictEqual(readBack(after, file), wanted(tree.value, edit)))
    throw tree.refused(placeOf(tree, edit), 'found a way of writing that is too special');
  return after;
}

function splicesOf(tree: EditTree, edit: BackendEdit): Splice[] {
  if (edit.kind === 'add') return addEntry(tree, edit.pool, edit.entry);
  const targets = targetsOf(tree.value, edit.backend, edit.pool);
  return targets.flatMap((target) =>
    edit.kind === 'remove' ? removeEntry(tree, target) : setFields(tree, target, edit.fields),
  );
}

function placeOf({ value }: EditTree, edit: BackendEdit): FieldPath {
  if (edit.kind === 'add') return ['pools', edit.pool, 'backends'];
  const [first] = targetsOf(value, edit.backend, edit.pool);
  return ['pools', first!.pool, 'backends', first!.index];
}

/** As plain values; undefined when it is no good YAML. */
export function readBack(text: string, file: string): unknown {
  try {
    const { value, problems } = new ConfigDocument(text, file);
    return problems.length === 0 ? value : undefined;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
