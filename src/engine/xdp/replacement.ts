/** When another program must replace the one in force: its maps are too small, or its counters have other numbers. */

import { imageCounterNames } from '../../image/inspect.js';
import type { Image } from '../../image/read.js';
import { fits } from '../maps/sizes.js';
import { isThis } from './about.js';
import type { PinnedSet } from './pinned-set.js';

/** Why the image cannot be published to the set in force; undefined when it can. */
export function replacementReason(
  image: Image,
  set: PinnedSet | undefined,
  former: Image | undefined,
): string | undefined {
  if (set === undefined || former === undefined) return 'what was in force has another layout';
  if (!isThis(set.about)) return `version ${set.about.version} of the program was in force`;
  if (!fits(image, set.about.sizes)) return 'the image has outgrown the maps';
  return keepsNumbers(image, former) ? undefined : 'counters have other numbers';
}

/** Whether every counter still belongs to the same name. */
function keepsNumbers(image: Image, former: Image): boolean {
  const [now, then] = [imageCounterNames(image), imageCounterNames(former)];
  return (['services', 'backends'] as const).every((kind) =>
    then[kind].every((name, number) => now[kind][number] === name),
  );
}
