/** A service's port, or range of ports. */

export interface PortRange {
  /** 1 to 65535, inclusive. */
  readonly first: number;
  readonly last: number;
}

/** `80`, `"80"` or `"8000-8999"`; undefined for a port out of range or with a leading zero, or a reversed range. */
export function parsePorts(value: number | string): PortRange | undefined {
  const match = /^([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?$/.exec(String(value));
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return first <= last && last <= 65535 ? { first, last } : undefined;
}

export function formatPorts(range: PortRange): string {
  return range.first === range.last ? String(range.first) : `${range.first}-${range.last}`;
}
