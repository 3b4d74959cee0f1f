/** When another program must replace the one in force: its maps are too small, or its counters have other numbers. */

import { L } from '../../core/layout.gen.js';
import { imageCounterNames } from '../../image/inspect.js';
import type { Image } from '../../image/read.js';
import { fits } from '../maps/sizes.js';
import { flowHashVersion, isThis } from './about.js';
import type { PinnedSet } from './pinned-set.js';

/** Why lists cannot be put in force in the maps that are there. */
export const LISTS_OUTGROWN = 'the lists have outgrown the maps';

/** Why the image and lists, if there are other ones, cannot be published to the set in force; undefined when it can. */
export function replacementReason(
  image: Image,
  set: PinnedSet | undefined,
  former: Image | undefined,
  lists: Uint8Array | undefined,
): string | undefined {
  if (set === undefined) return 'what was in force cannot be read, nor how it hashed flows';
  if (hashesOtherwise(set)) return `version ${flowHashVersion(set.about)} of the flow hash was in force`;
  if (former === undefined) return 'what was in force has another layout';
  if (!isThis(set.about)) return `version ${set.about.version} of the program was in force`;
  if (set.defence === undefined) return 'what its defence counts in is no longer pinned';
  if (!fits(image, set.about.sizes)) return 'the image has outgrown the maps';
  if (lists !== undefined && !set.defence.hasRoom(lists)) return LISTS_OUTGROWN;
  return keepsNumbers(image, former) ? undefined : 'counters have other numbers';
}

/** Whether nearly every flow gets another backend when another program takes the place of the set's. */
export function hashesOtherwise({ about }: PinnedSet): boolean {
  return flowHashVersion(about) !== L.FLOW_HASH_VERSION;
}

/** Whether every counter still belongs to the same name. */
function keepsNumbers(image: Image, former: Image): boolean {
  const [now, then] = [imageCounterNames(image), imageCounterNames(former)];
  return (['services', 'backends'] as const).every((kind) =>
    then[kind].every((name, number) => now[kind][number] === name),
  );
}
