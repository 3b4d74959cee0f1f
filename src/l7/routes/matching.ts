/**
 * How hosts and paths are compared, by HAProxy and here: the keys of the maps, and what a request asks them for. rules.ts has
 * the same steps as HAProxy's rules.
 *
 * A host is compared in lower case, without its port and without dots at its end. `*.example.com` stands for a host that ends
 * with `.example.com` and has a label before it. HAProxy finds it as the longest prefix of the reversed name: `com.example.`.
 *
 * A path is compared byte by byte, as sent. Every key ends with `/`, and so does what is looked up: the longest key that is
 * a prefix is the longest match by whole segments.
 */

/** The group of routes for any host. */
export const ANY_HOST = '*';
const WILDCARD = '*.';

/** A host pattern names its group: `api.example.com`, `*.example.com` or `*`. None contains `/`. */
export type Group = string;

export function groupOf(host: string | undefined): Group {
  return host ?? ANY_HOST;
}

export function isWildcard(group: Group): boolean {
  return group.startsWith(WILDCARD);
}

/** The groups that a request of this group may fall through to, without the group itself, the most specific first. */
export function lessSpecific(group: Group): Group[] {
  if (group === ANY_HOST) return [];
  const name = isWildcard(group) ? group.slice(WILDCARD.length) : group;
  const labels = name.split('.');
  return [...labels.slice(1).map((_, i) => WILDCARD + labels.slice(i + 1).join('.')), ANY_HOST];
}

/** `*.b.example.com`: `com.example.b.` */
export function suffixKey(group: Group): string {
  return reversed(group.slice(WILDCARD.length));
}

export function labelsOf(group: Group): number {
  return group.split('.').length - 1;
}

/** The host of a request. @param header its `Host` header; undefined when it has none */
export function requestHost(header: string | undefined): string {
  const text = trimmed(header ?? '');
  const colon = text.lastIndexOf(':');
  const host = colon > text.lastIndexOf(']') ? text.slice(0, colon) : text;
  // HAProxy changes ASCII letters only.
  return host.replace(/[A-Z]/g, (letter) => letter.toLowerCase()).replace(/\.+$/, '');
}

/** Without the white space of HTTP at its ends. */
export function trimmed(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

/** What stands behind the first label of a host, reversed: the wildcards that match are prefixes of it. */
export function requestSuffix(host: string): string {
  return reversed(/^\.*[^.]+\.+(.*)$/s.exec(host)?.[1] ?? '');
}

function reversed(name: string): string {
  return `${name.split('.').toReversed().join('.')}.`;
}

/** The key of a route's path: `/v1` and `/v1/` are `/v1/`. */
export function pathKey(path: string): string {
  return path.endsWith('/') ? path : `${path}/`;
}

/** What a request looks up. @param path as sent, with or without a query; undefined when the target has none (`OPTIONS *`) */
export function requestKey(group: Group, path: string | undefined): string {
  return `${group}${path?.split('?', 1)[0] ?? ''}/`;
}

/** The value of the longest key that is a prefix; keys end with `end`. */
export function longestPrefix<T>(
  entries: ReadonlyMap<string, T>,
  text: string,
  end: '/' | '.',
): T | undefined {
  for (let at = text.lastIndexOf(end); at >= 0; at = at === 0 ? -1 : text.lastIndexOf(end, at - 1)) {
    const found = entries.get(text.slice(0, at + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}
