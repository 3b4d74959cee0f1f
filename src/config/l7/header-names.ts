/** Headers that are not for the config to set, or that requests do not have by the time a proxy host looks at them. */

/** They frame messages, name the client, or are set by every proxy host itself. */
export const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'strict-transport-security',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-request-id',
]);

/** Headers by which a client could pass for another, for another request, or reach servers by another protocol: proxy hosts delete them. */
export const DISTRUSTED_HEADERS: readonly string[] = [
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
  'x-request-id',
  'x-original-url',
  'x-rewrite-url',
  'proxy',
  'proxy-connection',
  'keep-alive',
  'http2-settings',
];
/** So are headers whose names begin like this. */
export const DISTRUSTED_START = 'x-forwarded';

/** @param name in any case */
export function isDistrusted(name: string): boolean {
  const header = name.toLowerCase();
  return header.startsWith(DISTRUSTED_START) || DISTRUSTED_HEADERS.includes(header);
}
