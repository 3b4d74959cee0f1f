/**
 * Takes some sections out of the text of a config without parsing the rest, which has up to thousands of backends. A section of a block
 * mapping begins with its name at the start of a line, and no line within a section does: YAML indents those.
 */

const KEY = /^(["']?)([A-Za-z_][A-Za-z0-9_-]*)\1[ \t]*:(?=[ \t\r]|$)/;
/** What else may stand there: a comment, the entry of a list, the end of a flow collection. */
const OTHER = /^(?:#|-[ \t\r]|-$|[\]}])/;
/** Anchors and aliases tie sections together. So does what only looks like them, which is a matter of speed alone. */
const TIED = /[&*]/;

export interface Cut {
  /** The text without the sections; lines stay where they were. */
  readonly kept: string;
  /** The sections alone. */
  readonly cut: string;
}

/** Undefined for a text that takes a parser. */
export function cutSections(text: string, names: ReadonlySet<string>): Cut | undefined {
  const kept: string[] = [];
  const cut: string[] = [];
  let isCut = false;
  for (const line of text.split('\n')) {
    const name = KEY.exec(line)?.[2];
    if (name !== undefined) isCut = names.has(name);
    else if (/^[^ \t\r]/.test(line) && !OTHER.test(line)) return undefined;
    if (isCut) cut.push(line);
    kept.push(isCut ? '' : line);
  }
  const sections = cut.join('\n');
  return TIED.test(sections) ? undefined : { kept: kept.join('\n'), cut: sections };
}
