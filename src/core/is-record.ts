/** Whether a value, most often from JSON of others, is an object with fields: neither null nor a list. The same in a browser. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
