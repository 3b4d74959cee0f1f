/** Which frontends take a connection: by scheme and port, and by VIP where one is named. */
import type { L7Bind, L7Config, L7Frontend } from '../../config/l7/types.js';
import { listed } from '../../core/listed.js';
import type { IpAddress } from '../../packet/address.js';
import type { AskedRequest } from './request.js';

/** What a frontend's address speaks: its services with or without TLS, and plain HTTP that is sent to https. */
export type Speaks = 'https' | 'http' | 'redirect';

export interface Listener {
  readonly frontend: L7Frontend;
  readonly speaks: Speaks;
  /** At least one: where a connection like this can arrive. */
  readonly binds: readonly L7Bind[];
}

/** What is known of the connection. */
export interface Connection {
  readonly scheme: AskedRequest['scheme'];
  readonly port: number;
  /** Undefined: any VIP. */
  readonly vip: IpAddress | undefined;
  /** Of the client; undefined: any. */
  readonly family: 4 | 6 | undefined;
}

/** In the order of the config. */
export function listenersFor({ frontends }: L7Config, wanted: Connection): Listener[] {
  return frontends
    .flatMap(listenersOf)
    .filter(({ speaks }) => schemeOf(speaks) === wanted.scheme)
    .flatMap((listener) => {
      const binds = listener.binds.filter((bind) => takes(bind, wanted));
      return binds.length === 0 ? [] : [{ ...listener, binds }];
    });
}

function listenersOf(frontend: L7Frontend): Listener[] {
  const { certificates, binds, redirectBinds } = frontend;
  const own: Listener = { frontend, speaks: certificates === undefined ? 'http' : 'https', binds };
  return redirectBinds.length === 0 ? [own] : [own, { frontend, speaks: 'redirect', binds: redirectBinds }];
}

function schemeOf(speaks: Speaks): AskedRequest['scheme'] {
  return speaks === 'https' ? 'https' : 'http';
}

function takes({ vip, portFirst, portLast }: L7Bind, wanted: Connection): boolean {
  return (
    wanted.port >= portFirst &&
    wanted.port <= portLast &&
    (wanted.vip === undefined || vip.text === wanted.vip.text) &&
    (wanted.family === undefined || vip.family === wanted.family)
  );
}

/** Why there is none: what would have to be another. */
export function whyNone(config: L7Config, wanted: Connection): string {
  const { scheme, port, vip, family } = wanted;
  const other = scheme === 'https' ? 'http' : 'https';
  const [elsewhere] = listenersFor(config, { ...wanted, scheme: other });
  if (elsewhere !== undefined)
    return `no frontend takes ${scheme} there: port ${port} of frontend ${elsewhere.frontend.name} speaks ${other}`;
  const anyVip = listenersFor(config, { ...wanted, vip: undefined, family: undefined });
  const vips = anyVip.flatMap(({ binds }) => binds.map((bind) => bind.vip.text));
  if (vips.length > 0)
    return vip === undefined
      ? `no frontend takes ${scheme} on port ${port} of an IPv${family} VIP, and the client is IPv${family}`
      : `no frontend takes ${scheme} on port ${port} of ${vip.text}: its VIPs there are ${listed(vips)}`;
  const all = config.frontends.flatMap(listenersOf).filter(({ speaks }) => schemeOf(speaks) === scheme);
  const ports = new Set(all.flatMap(({ binds }) => binds.map(portsOf)));
  return `no frontend takes ${scheme} on port ${port}: ${ports.size === 0 ? `none takes ${scheme} at all` : `ports for it are ${listed([...ports])}`}`;
}

function portsOf({ portFirst, portLast }: L7Bind): string {
  return portFirst === portLast ? String(portFirst) : `${portFirst}-${portLast}`;
}
