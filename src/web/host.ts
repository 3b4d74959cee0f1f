/** The Host header of a request to a server on loopback. */
import { isIP } from 'node:net';

const HOST = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]*)(?::\d{1,5})?$/;

/** The host without its port, in small letters; undefined when there is none, or it is no host. */
export function hostOf(header: string | undefined): string | undefined {
  const [, host] = HOST.exec(header ?? '') ?? [];
  return host?.toLowerCase().replace(/^\[|\]$/g, '');
}

/** An address or localhost: no name that a foreign DNS server could have made point here. The port may be that of `ssh -L`. */
export function isLocalHost(host: string | undefined): boolean {
  return host !== undefined && (host === 'localhost' || isIP(host) !== 0);
}
