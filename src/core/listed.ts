/** Lists in messages: all of a few, the first of many and how many more. */

export interface ListedOptions<T> {
  /** How many are named; 3 when not given. */
  readonly most?: number;
  readonly separator?: string;
  /** What is shown of an item: asked for those that are named only. */
  readonly text?: (item: T) => string;
}

export function listed<T>(
  items: readonly T[],
  { most = 3, separator = ', ', text = String }: ListedOptions<T> = {},
): string {
  const more = items.length - most;
  // One more takes no more room than to say so.
  if (more <= 1) return items.map((item) => text(item)).join(separator);
  return `${items
    .slice(0, most)
    .map((item) => text(item))
    .join(separator)} and ${more} more`;
}
