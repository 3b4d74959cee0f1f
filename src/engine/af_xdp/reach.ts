/** Where an AF_XDP socket can send: only out of the interface that it is bound to. */
import { AnyhopError, EXIT } from '../../core/errors.js';
import { imageBackends } from '../../image/inspect.js';
import type { Image } from '../../image/read.js';
import type { Link } from '../../underlay/link.js';
import type { NextHop } from '../../underlay/next-hop.js';

export function afXdpUnreachable(
  { interface: name, interfaceIndex }: Pick<NextHop, 'interface' | 'interfaceIndex'>,
  on: Pick<Link, 'name' | 'index'>,
): string | undefined {
  if (isOwn(interfaceIndex, on)) return undefined;
  return `its next hop is on ${name}, and af_xdp sends only out of ${on.name}`;
}

/** @throws AnyhopError ERR_ROUTE: images for this engine must leave such a backend out (`unreachable`) */
export function requireReach(image: Image, on: Pick<Link, 'name' | 'index'>): void {
  const stray = imageBackends(image).find(({ interfaceIndex }) => !isOwn(interfaceIndex, on));
  if (stray === undefined) return;
  throw new AnyhopError(
    'ERR_ROUTE',
    `the next hop to ${stray.address.text} is on another interface than ${on.name}, and the engine af_xdp cannot send there`,
    { hint: `Route it out of ${on.name}, or use the engine xdp.`, exitCode: EXIT.environment },
  );
}

/** An image says 0 for the interface that packets come in on. */
function isOwn(interfaceIndex: number, { index }: Pick<Link, 'index'>): boolean {
  return interfaceIndex === 0 || interfaceIndex === index;
}
