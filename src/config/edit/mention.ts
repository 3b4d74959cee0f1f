/** What a config does not say, without reading it as YAML: that takes a tenth of a second for 1,000 backends. */

/** Whether a text may have a key that matches; a quoted one may be written with escapes. */
export function mayMention(text: string, key: RegExp): boolean {
  return key.test(text) || text.includes('\\');
}
