/** Names of backends and servers made from names of elsewhere. */
import { createHash } from 'node:crypto';
import { NAME_CHARS_MAX } from '../core/limits.js';

const DIGEST_CHARS = 8;

/** A name that one can have; the same for the same text. Long ones end with a digest, so that they stay different. */
export function memberName(text: string): string {
  const name = text.replaceAll(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  if (name === text && name.length <= NAME_CHARS_MAX) return name;
  const digest = createHash('sha256').update(text).digest('hex').slice(0, DIGEST_CHARS);
  return `${name.slice(0, NAME_CHARS_MAX - DIGEST_CHARS - 1)}-${digest}`.replace(/^-+/, '');
}
