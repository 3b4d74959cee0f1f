/** The HTTP status codes of a healthy backend. */

export interface StatusCodes {
  /** 100 to 599, inclusive. */
  readonly first: number;
  readonly last: number;
}

/** `200`, `"200"` or `"200-399"`; undefined for a code out of range, or a reversed range. */
export function parseStatusCodes(value: number | string): StatusCodes | undefined {
  const match = /^([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?$/.exec(String(value));
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return first <= last ? { first, last } : undefined;
}

export function formatStatusCodes({ first, last }: StatusCodes): string {
  return first === last ? String(first) : `${first}-${last}`;
}
