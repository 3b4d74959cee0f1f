/** Lists in messages: all of a few, the first of many and how many more. */

/** @param most how many are named */
export function listed(names: readonly string[], separator = ', ', most = 3): string {
  const more = names.length - most;
  // One more takes no more room than to say so.
  if (more <= 1) return names.join(separator);
  return `${names.slice(0, most).join(separator)} and ${more} more`;
}
