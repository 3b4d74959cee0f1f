/** Lists in messages: all of a few items; of many, the first ones and the number of the others. */

export interface ListedOptions<T> {
  /** How many are shown; 3 by default. */
  readonly most?: number;
  readonly separator?: string;
  /** Text of an item; called only for items that are shown. */
  readonly text?: (item: T) => string;
}

export function listed<T>(
  items: readonly T[],
  { most = 3, separator = ', ', text = String }: ListedOptions<T> = {},
): string {
  const more = items.length - most;
  // One more item takes no more room than "1 more".
  if (more <= 1) return items.map((item) => text(item)).join(separator);
  return `${items
    .slice(0, most)
    .map((item) => text(item))
    .join(separator)} and ${more} more`;
}
