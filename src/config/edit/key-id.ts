/** A config text with another `node.key_id`, and everything else byte for byte as it was. */
import { isDeepStrictEqual } from 'node:util';
import { isScalar, parseDocument } from 'yaml';
import { isRecord } from '../../core/is-record.js';
import { PARSE_OPTIONS } from '../document.js';
import { readBack } from './edit.js';
import { mayMention } from './mention.js';
import { endOfLine, insertion, lineStart, type Splice, spliced } from './splice.js';
import { commaOf, fieldLike, sliceOf, writtenLike } from './style.js';
import { EditTree } from './tree.js';

const KEY_ID = 'key_id';

/**
 * @param text without byte order mark
 * @param id fingerprint of a secret
 * @throws ConfigError when the text is no good YAML, or is written in a way in which this cannot be changed alone
 */
export function withKeyId(text: string, file: string, id: string): string {
  const tree = new EditTree(text, file);
  const after = spliced(text, [spliceOf(tree, id)]);
  const { value } = tree;
  const node = isRecord(value) && isRecord(value['node']) ? value['node'] : {};
  const wanted = { ...(value as object), node: { ...node, [KEY_ID]: id } };
  if (!isDeepStrictEqual(readBack(after, file), wanted))
    throw tree.refused(['node'], 'found a way of writing that is too special');
  return after;
}

/** What a text says, whether it could be changed or not; undefined for nothing. */
export function keyIdIn(text: string): string | undefined {
  if (!mayMention(text, /key_id/)) return undefined;
  const id: unknown = parseDocument(text, PARSE_OPTIONS).getIn(['node', KEY_ID], true);
  if (!isScalar(id)) return undefined;
  return typeof id.value === 'string' ? id.value : id.source; // one of digits alone
}

function spliceOf(tree: EditTree, id: string): Splice {
  const { text } = tree;
  const eol = endOfLine(text);
  const section = tree.nodeSection();
  if (section === undefined) {
    const gap = text === '' || text.endsWith('\n') ? '' : eol;
    return insertion(text.length, `${gap}node:${eol}  ${KEY_ID}: ${writtenLike(undefined, id)}${eol}`);
  }
  const old = tree.fieldOf(section, KEY_ID, ['node']);
  if (isScalar(old)) {
    const [from, to] = sliceOf(old);
    return { from, to, text: writtenLike(old, id) };
  }
  const [at] = sliceOf(section.items[0].key);
  const field = fieldLike(text, section, KEY_ID, id);
  if (section.flow) return insertion(at, `${field}${commaOf(text, section)}`);
  return insertion(at, `${field}${eol}${text.slice(lineStart(text, at), at)}`);
}
