/** What the rules on the section `l7` share: the parts of a draft that they judge, and where they report. */
import type { ConfigDocument } from '../document.js';
import type { DraftL7 } from '../draft.js';
import { nearest } from '../nearest.js';
import { quote } from '../path.js';
import type { Report } from '../problems.js';

export type DraftFrontend = NonNullable<DraftL7['frontends']>[number];
export type DraftRoute = DraftFrontend['routes'][number];
export type DraftUpstream = NonNullable<DraftL7['upstreams']>[number];
/** Headers or cookies by name. */
export type DraftPairs = DraftRoute['headers'];

export interface Judge {
  readonly document: ConfigDocument;
  readonly report: Report;
  readonly warn: Report;
}

/** The second half of a message about a name that is not there. */
export function meant(name: string, known: Iterable<string>, expected: string): string {
  const near = nearest(name, known);
  return near === undefined ? `expected the name of ${expected}` : `did you mean ${quote(near)}?`;
}
