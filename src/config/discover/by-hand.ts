/** What people are told who add or remove a backend where a source does. */
export const DISCOVERED_HINT =
  'Add or remove it where the source has it. `anyhop drain`, `undrain` and `weight` work here too.';

export function discoveredMessage(pool: string): string {
  return `the pool ${pool} takes its backends from a source (backends_from)`;
}
